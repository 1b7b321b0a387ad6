package main

import (
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// roomLimit is the maximum message size of the room: coder/websocket's default read limit.
const roomLimit = 32 << 10

// The private close codes of the clients. The server declares only the first, and counts the second
// as 4xxx.
const (
	closeDeclared   websocket.StatusCode = 4000
	closeUndeclared websocket.StatusCode = 4242
)

type visitKind struct {
	name string
	call func(*visit) error
}

// visits are the kinds of visits, in the order in which each client makes them. Client n begins with
// kind n, so that ten clients show most kinds at once.
var visits = []visitKind{
	{"chat", chat},
	{"slow reader", readSlowly},
	{"silent", readNothing},
	{"close 1000", echoes(websocket.StatusNormalClosure)},
	{"stalled", stall},
	{"dropped", drop},
	{"close 4000", echoes(closeDeclared)},
	{"too long a message", sendTooLong},
	{"malformed", sendMalformed},
	{"foreign origin", useForeignOrigin},
	{"chat", chat},
	{"close 1001", echoes(websocket.StatusGoingAway)},
	{"chat", chat},
	{"close 1005", echoes(websocket.StatusNoStatusRcvd)},
	{"close 1000", echoes(websocket.StatusNormalClosure)},
	{"close 4242", echoes(closeUndeclared)},
	{"chat", chat},
}

// chatEvery is the mean time between two messages of a client to the room. It grows with the number
// of clients, so that the traffic stays the same.
func (v *visit) chatEvery() time.Duration {
	return v.pace / 2 * time.Duration(max(1, v.clients/20))
}

func chat(v *visit) error {
	if err := v.enter("/room", nil); err != nil {
		return err
	}
	defer v.CloseNow()
	over := v.listen()
	v.talk(over, v.between(5, 20), roomLimit, v.chatEvery())
	return v.Close(websocket.StatusNormalClosure, "")
}

func echoes(code websocket.StatusCode) func(*visit) error {
	return func(v *visit) error {
		if err := v.enter("/echo", nil); err != nil {
			return err
		}
		defer v.CloseNow()
		over := v.listen()
		v.talk(over, v.between(2, 15), echoLimit, v.pace/2)
		return v.Close(code, "")
	}
}

// readSlowly lags behind the room until the server closes the connection.
func readSlowly(v *visit) error {
	if err := v.enter("/room", nil); err != nil {
		return err
	}
	defer v.CloseNow()
	// This is more than the queue and the kernel can hold, even on a slow machine.
	for n := 0; n < 2*memberQueue && v.leaving.Err() == nil; n++ {
		if err := v.say(roomLimit / 2); err != nil {
			return err
		}
		pause(v.leaving, v.chatEvery()/4)
	}
	v.talk(v.listen(), 4*v.pace, roomLimit, v.pace)
	return v.Close(websocket.StatusNormalClosure, "")
}

// readNothing does not read, and therefore answers no pings.
func readNothing(v *visit) error {
	if err := v.enter("/echo", nil); err != nil {
		return err
	}
	defer v.CloseNow()
	pause(v.leaving, max(3*v.heartbeat, 10*v.pace))
	return nil
}

// stall delays reading, so that the server has to wait with its echo.
func stall(v *visit) error {
	if err := v.enter("/echo", nil); err != nil {
		return err
	}
	defer v.CloseNow()
	said := make(chan error, 1)
	v.wg.Go(func() { said <- v.say(echoLimit) })
	pause(v.leaving, v.between(1, 3))
	v.listen()
	if err := <-said; err != nil {
		return err
	}
	return v.Close(websocket.StatusNormalClosure, "")
}

// drop leaves without a close frame.
func drop(v *visit) error {
	if err := v.enter("/room", nil); err != nil {
		return err
	}
	defer v.CloseNow()
	v.talk(v.listen(), v.between(1, 8), roomLimit, v.chatEvery())
	return nil
}

// sendTooLong sends a message that is longer than the server's limit.
func sendTooLong(v *visit) error {
	if err := v.enter("/echo", nil); err != nil {
		return err
	}
	defer v.CloseNow()
	over := v.listen()
	if err := v.say(echoLimit + 1); err != nil {
		return err
	}
	<-over
	return nil
}

// sendMalformed sends a frame with a reserved opcode.
func sendMalformed(v *visit) error {
	if err := v.enter("/echo", nil); err != nil {
		return err
	}
	defer v.CloseNow()
	over := v.listen()
	if _, err := v.tcp.Write([]byte{0x83, 0x80, 0, 0, 0, 0}); err != nil {
		return err
	}
	<-over
	return nil
}

// useForeignOrigin has a foreign Origin, so its handshake fails.
func useForeignOrigin(v *visit) error {
	err := v.enter("/echo", http.Header{"Origin": {"https://elsewhere.example"}})
	if err == nil {
		return v.CloseNow()
	}
	return err
}
