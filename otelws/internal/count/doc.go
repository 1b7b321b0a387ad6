// Package count holds the counts of connections, which callbacks report: messages, frames, bytes
// and the time of writes.
//
// A connection adds to one [Shard], which it shares with few others. A callback adds up the shards
// of a [Traffic]. Nothing here takes a lock.
package count
