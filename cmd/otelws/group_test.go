package main

import (
	"context"
	"errors"
	"slices"
	"testing"
)

func TestGroupEndsInReverse(t *testing.T) {
	failure := errors.New("failure")
	for _, tt := range []struct {
		name string
		end  func(cancel context.CancelFunc, fail chan<- error)
		want error
	}{
		{"cancelled", func(cancel context.CancelFunc, _ chan<- error) { cancel() }, nil},
		{"service fails", func(_ context.CancelFunc, fail chan<- error) { fail <- failure }, failure},
		{"service returns", func(_ context.CancelFunc, fail chan<- error) { fail <- nil }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			fail := make(chan error)
			// Written without a lock: the services end one by one.
			var ended []string
			service := func(name string) service {
				return func(ctx context.Context) error {
					<-ctx.Done()
					ended = append(ended, name)
					return nil
				}
			}
			failing := func(ctx context.Context) error {
				select {
				case err := <-fail:
					return err
				case <-ctx.Done():
					return nil
				}
			}
			go tt.end(cancel, fail)
			err := runGroup(ctx, service("first"), failing, service("last"))
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if want := []string{"last", "first"}; !slices.Equal(ended, want) {
				t.Errorf("ended %v, want %v", ended, want)
			}
		})
	}
}
