// Package sampling has a sampler for spans that are tied to others by links and
// not by a parent: messages of a long connection, jobs of a batch, retries.
package sampling

import (
	"fmt"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Option configures [LinkBased].
type Option interface{ apply(*linkBased) }

type optionFunc func(*linkBased)

func (f optionFunc) apply(s *linkBased) { f(s) }

// WithLinkedSampled sets the sampler of spans that are linked to a sampled one,
// sdktrace.AlwaysSample unless set or when nil.
func WithLinkedSampled(s sdktrace.Sampler) Option {
	return optionFunc(func(lb *linkBased) {
		if s != nil {
			lb.sampled = s
		}
	})
}

// WithLinkedNotSampled sets the sampler of spans whose links all lead to
// unsampled ones, sdktrace.NeverSample unless set or when nil. Where the
// application has chosen before it starts a span, sdktrace.AlwaysSample keeps
// its choice.
func WithLinkedNotSampled(s sdktrace.Sampler) Option {
	return optionFunc(func(lb *linkBased) {
		if s != nil {
			lb.notSampled = s
		}
	})
}

type linkBased struct {
	root, sampled, notSampled sdktrace.Sampler
}

// LinkBased returns a sampler for which a link is what a parent is for
// sdktrace.ParentBased: a span follows the decision of the spans that it is
// linked to at its start. Of several, one that is sampled is enough, since its
// trace would lead nowhere otherwise. Links without a valid span context do not
// count, and a span without links is root's to decide.
//
// It disregards parents. With sdktrace.ParentBased(sampling.LinkBased(root)) the
// parent comes first, then the links, then root.
//
// Tracestate is the parent's, as with the SDK's own samplers. The sampler is
// safe for concurrent use where the samplers given to it are, and allocates
// nothing.
func LinkBased(root sdktrace.Sampler, opts ...Option) sdktrace.Sampler {
	if root == nil {
		root = sdktrace.AlwaysSample()
	}
	s := linkBased{root: root, sampled: sdktrace.AlwaysSample(), notSampled: sdktrace.NeverSample()}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&s)
		}
	}
	return s
}

func (s linkBased) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	return s.follow(p.Links).ShouldSample(p)
}

func (s linkBased) follow(links []trace.Link) sdktrace.Sampler {
	next := s.root
	for _, l := range links {
		if !l.SpanContext.IsValid() {
			continue
		}
		if l.SpanContext.IsSampled() {
			return s.sampled
		}
		next = s.notSampled
	}
	return next
}

func (s linkBased) Description() string {
	return fmt.Sprintf("LinkBased{root:%s,linkedSampled:%s,linkedNotSampled:%s}",
		s.root.Description(), s.sampled.Description(), s.notSampled.Description())
}
