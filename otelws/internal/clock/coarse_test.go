package clock

import (
	"testing"
	"testing/synctest"
	"time"
)

// Coarse follows the clock of each bubble of synctest, and the real clock before and after it.
func TestCoarseInBubble(t *testing.T) {
	follows := func(limit time.Duration) {
		t.Helper()
		at := Coarse()
		if late := Now() - at; late < 0 || late > limit {
			t.Errorf("the coarse clock is %v late", late)
		}
	}
	for range 2 {
		Begin()
		follows(time.Hour)
		synctest.Test(t, func(t *testing.T) {
			if Begin() <= 0 {
				t.Error("the instant is not positive")
			}
			for range 100 {
				time.Sleep(coarseTick / 3)
				synctest.Wait()
				follows(coarseTick)
			}
			time.Sleep(time.Hour)
			follows(coarseTick)
		})
	}
	Begin()
	follows(time.Hour)
}
