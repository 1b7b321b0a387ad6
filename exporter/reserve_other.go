//go:build !unix

package exporter

import (
	"errors"
	"net"
	"time"
)

// isWanted is not supported here: processes of these systems have no limit of sockets.
func isWanted(net.Listener, time.Duration) (bool, error) { return false, errors.ErrUnsupported }
