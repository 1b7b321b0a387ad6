package tap

import "testing"

// Round trips are found for any number of pings in flight. A slow peer may answer each
// ping, and another peer only the last.
func TestPingsInFlight(t *testing.T) {
	ping := func(n int) []byte { return []byte{0x89, 1, byte(n)} }
	pong := func(n int) []byte { return []byte{0x8a, 0x81, 0, 0, 0, 0, byte(n)} }
	for _, tt := range []struct {
		name    string
		pings   int
		answers func(sent int) (answered int) // the ping that the peer answers after the ping sent, or 0
		least   int
		most    int
	}{
		{"each at once", 100, func(sent int) int { return sent }, 100, 100},
		{"each after eight", 100, func(sent int) int { return sent - 7 }, 93, 93},
		{"each after thirty", 200, func(sent int) int { return sent - 30 }, 5, 170},
		{"the last of thirty", 90, func(sent int) int {
			if sent%30 == 0 {
				return sent
			}
			return 0
		}, 3, 3},
		{"none", 100, func(int) int { return 0 }, 0, 0},
	} {
		transport := new(scripted)
		c, app, f := open(t, transport)
		b := make([]byte, 100)
		for n := 1; n <= tt.pings; n++ {
			if _, err := app.Write(ping(n)); err != nil {
				t.Fatal(err)
			}
			if answered := tt.answers(n); answered > 0 {
				transport.read = pong(answered)
				if _, err := app.Read(b); err != nil {
					t.Fatal(err)
				}
			}
		}
		if f.trips < tt.least || f.trips > tt.most {
			t.Errorf("%s: %d round trips, want %d to %d", tt.name, f.trips, tt.least, tt.most)
		}
		if all := c.session.Load().verdict.pings; all != nil && len(all.list) > maxPings {
			t.Errorf("%s: the tap remembers %d pings", tt.name, len(all.list))
		}
	}
}
