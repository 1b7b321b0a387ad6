// Package identity makes the resource that identifies this process in every signal.
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

// instance has a random UUID for the process. The resource conventions require an ID
// if nothing else distinguishes the instances of a service.
var instance = sync.OnceValue(func() *resource.Resource {
	return resource.NewSchemaless(instanceKey.String(uuid.NewString()))
})

// Resource merges res over the SDK's default resource, which holds OTEL_SERVICE_NAME and
// OTEL_RESOURCE_ATTRIBUTES of the environment. If neither has a service.instance.id, the result has
// the UUID of the process.
func Resource(res *resource.Resource) (*resource.Resource, error) {
	merged, err := resource.Merge(resource.Default(), res)
	// With a conflict of schema URLs, the result is complete except for its schema URL.
	if err != nil && !errors.Is(err, resource.ErrSchemaURLConflict) {
		return nil, fmt.Errorf("failed to merge the resource: %w", err)
	}
	return WithInstance(merged), nil
}

// WithInstance returns res. If res has no service.instance.id, the result has the UUID of the
// process.
func WithInstance(res *resource.Resource) *resource.Resource {
	if id, ok := res.Set().Value(instanceKey); ok && id.String() != "" {
		return res
	}
	merged, err := resource.Merge(res, instance())
	if err != nil { // never: a schemaless resource has no conflict
		return res
	}
	return merged
}
