//go:build !unix

package proxy

// maxDescriptors returns the number of sockets that this process may open.
func maxDescriptors() int { return unlimited }
