{
  // A counter that grows by n a minute, and a gauge.
  every(n):: '0+%gx200' % n,
  level(n):: '%gx200' % n,

  merge(objects):: std.foldl(function(all, more) all + more, objects, {}),

  // A native histogram: so many observations a minute are up to 2^exponent, and
  // above twice that.
  native(exponent, low, high)::
    local h(low, high) = '{{schema:0 count:%g sum:0 offset:%d buckets:[%g 0 %g]}}' % [low + high, exponent, low, high];
    '%s+%sx200' % [h(0, 0), h(low, high)],
}
