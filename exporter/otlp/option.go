package otlp

import (
	"errors"
	"log/slog"

	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

type config struct {
	logger           *slog.Logger
	resource         *resource.Resource
	sampler          sdktrace.Sampler
	linkedNotSampled sdktrace.Sampler
}

// Option configures an [Exporter].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

func newConfig(opts []Option) (config, error) {
	var cfg config
	for _, opt := range opts {
		if opt == nil {
			return config{}, errors.New("invalid option: it is nil")
		}
		opt.apply(&cfg)
	}
	if cfg.logger == nil {
		cfg.logger = slog.Default()
	}
	return cfg, nil
}

// WithLogger sets where failed exports are logged, slog.Default() unless set or when nil: each signal
// once in 10 s at most, with the number of failures left out.
func WithLogger(l *slog.Logger) Option {
	return optionFunc(func(c *config) { c.logger = l })
}

// WithResource describes the process in all signals. Its attributes win over those of the environment,
// as with exporter.WithResource, to which [Exporter.ExporterOptions] hands the result.
func WithResource(res *resource.Resource) Option {
	return optionFunc(func(c *config) { c.resource = res })
}

// WithSampler sets the sampler, whatever OTEL_TRACES_SAMPLER says.
func WithSampler(s sdktrace.Sampler) Option {
	return optionFunc(func(c *config) { c.sampler = s })
}

// WithLinkedNotSampled sets the sampler of spans without a parent whose links lead to unsampled spans,
// which are dropped unless set. It is for an application that chooses its messages itself, before it
// starts their spans: with sdktrace.AlwaysSample its choice stands. See the package documentation.
func WithLinkedNotSampled(s sdktrace.Sampler) Option {
	return optionFunc(func(c *config) { c.linkedNotSampled = s })
}
