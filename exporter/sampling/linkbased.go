// Package sampling provides a sampler for spans that are connected by links instead of a parent,
// such as messages of a long connection, jobs of a batch, or retries.
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

// WithLinkedSampled sets the sampler for spans with a link to a sampled span. The default, also for
// nil, is sdktrace.AlwaysSample.
func WithLinkedSampled(s sdktrace.Sampler) Option {
	return optionFunc(func(lb *linkBased) {
		if s != nil {
			lb.sampled = s
		}
	})
}

// WithLinkedNotSampled sets the sampler for spans whose links all lead to unsampled spans. The
// default, also for nil, is sdktrace.NeverSample. If the application itself decides which spans to
// start, use sdktrace.AlwaysSample, which respects that decision.
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

// LinkBased returns a sampler that follows links, as sdktrace.ParentBased follows the parent. A
// span is sampled if one of the spans that it is linked to is sampled, and dropped if none of them
// is. Options can change both decisions. root decides about spans without links; nil means
// sdktrace.AlwaysSample. Only links that are given at the span's start and have a valid span
// context count.
//
// LinkBased ignores the parent. To follow the parent first, then the links, then root, use
// sdktrace.ParentBased(sampling.LinkBased(root)).
//
// As in the SDK's samplers, the tracestate is the parent's. The sampler does not allocate, and it
// is safe for concurrent use if the samplers given to it are.
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
