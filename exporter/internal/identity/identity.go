// Package identity says what describes this process in every signal.
package identity

import (
	"errors"
	"fmt"
	"sync"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
)

const instanceKey = attribute.Key("service.instance.id")

// instance is a random UUID for the process, as the resource conventions have it where nothing else tells instances of
// a service apart.
var instance = sync.OnceValue(func() *resource.Resource {
	return resource.NewSchemaless(instanceKey.String(uuid.NewString()))
})

// Resource lays res over the SDK's default resource, which has the OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES of
// the environment. Where nobody gives it, the result has a service.instance.id that is the process's.
func Resource(res *resource.Resource) (*resource.Resource, error) {
	merged, err := resource.Merge(resource.Default(), res)
	// The merge is whole without its schema URL.
	if err != nil && !errors.Is(err, resource.ErrSchemaURLConflict) {
		return nil, fmt.Errorf("failed to merge the resource: %w", err)
	}
	return WithInstance(merged), nil
}

// WithInstance returns res, with the process's service.instance.id if it has none.
func WithInstance(res *resource.Resource) *resource.Resource {
	if id, ok := res.Set().Value(instanceKey); ok && id.String() != "" {
		return res
	}
	merged, err := resource.Merge(res, instance())
	if err != nil { // a schemaless resource has no conflict
		return res
	}
	return merged
}
