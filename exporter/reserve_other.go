//go:build !unix

package exporter

import (
	"errors"
	"net"
	"time"
)

// isWanted says nothing on systems whose processes have no limit of sockets.
func isWanted(net.Listener, time.Duration) (bool, error) { return false, errors.ErrUnsupported }
