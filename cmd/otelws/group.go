package main

import (
	"context"
	"errors"
	"slices"
)

// service is a part of a command. It runs until its context is done, and then returns nil. If it
// returns earlier, it returns an error.
type service func(context.Context) error

// runGroup starts services, and waits until ctx is done or a service returns. Then it stops all
// services one after the other, in reverse order, and returns their errors.
func runGroup(ctx context.Context, services ...service) error {
	type running struct {
		cancel context.CancelFunc
		result chan error
	}
	var group []running
	first := make(chan struct{}, len(services))
	for _, s := range services {
		own, cancel := context.WithCancel(context.WithoutCancel(ctx))
		r := running{cancel, make(chan error, 1)}
		group = append(group, r)
		go func() {
			r.result <- s(own)
			first <- struct{}{}
		}()
	}

	select {
	case <-ctx.Done():
	case <-first:
	}
	var errs []error
	for _, r := range slices.Backward(group) {
		r.cancel()
		errs = append(errs, <-r.result)
	}
	return errors.Join(errs...)
}
