// Package count holds what connections count and callbacks report: messages,
// frames, bytes and the time of writes.
//
// A connection adds to one [Shard], which few others share. A callback adds the
// shards of a [Traffic] up. Nothing here takes a lock.
package count
