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

// WithLogger sets the logger for failed exports. The default, also for nil, is slog.Default(). Each
// signal logs at most one failure in 10 s, with the number of failures that were suppressed.
func WithLogger(l *slog.Logger) Option {
	return optionFunc(func(c *config) { c.logger = l })
}

// WithResource sets the resource that describes the process in all signals. Its attributes override
// the attributes from the environment, as with exporter.WithResource. [Exporter.ExporterOptions]
// passes the result on.
func WithResource(res *resource.Resource) Option {
	return optionFunc(func(c *config) { c.resource = res })
}

// WithSampler sets the sampler of traces. It overrides OTEL_TRACES_SAMPLER. The sampler then
// decides alone: links are followed only if it follows them, as sampling.LinkBased does.
func WithSampler(s sdktrace.Sampler) Option {
	return optionFunc(func(c *config) { c.sampler = s })
}

// WithLinkedNotSampled sets the sampler for spans that have no parent and whose links all lead to
// unsampled spans. By default these spans are dropped. If the application itself decides which
// messages have a span, use sdktrace.AlwaysSample, which respects that decision. See the package
// documentation.
func WithLinkedNotSampled(s sdktrace.Sampler) Option {
	return optionFunc(func(c *config) { c.linkedNotSampled = s })
}
