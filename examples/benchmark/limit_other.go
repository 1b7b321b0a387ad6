//go:build !unix

package main

func maxConns() int { return 1 << 20 }
