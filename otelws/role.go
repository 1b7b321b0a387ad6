package otelws

// role is the end of a connection that this process has.
type role uint8

const (
	server role = iota
	client
)

// String returns the adjective for connections of the role.
func (r role) String() string {
	if r == server {
		return "accepted"
	}
	return "dialed"
}
