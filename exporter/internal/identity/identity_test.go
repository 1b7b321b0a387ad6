package identity

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
)

func idOf(t *testing.T, res *resource.Resource) string {
	t.Helper()
	merged, err := Resource(res)
	if err != nil {
		t.Fatal(err)
	}
	id, ok := merged.Set().Value(instanceKey)
	if !ok {
		t.Fatalf("no service.instance.id in %v", merged)
	}
	return id.AsString()
}

// The ID is the UUID of the process, unless the user sets one.
func TestInstance(t *testing.T) {
	if os.Getenv("PRINT_INSTANCE") != "" {
		os.Stdout.WriteString("instance=" + idOf(t, nil) + "\n")
		return
	}
	id := idOf(t, nil)
	if _, err := uuid.Parse(id); err != nil {
		t.Error(err)
	}
	for _, res := range []*resource.Resource{
		resource.Empty(),
		resource.NewWithAttributes("https://example.com/schema/1", attribute.String("service.name", "shop")),
		resource.NewSchemaless(instanceKey.String("")),
	} {
		if got := idOf(t, res); got != id {
			t.Errorf("%v has the id %q, the process %q", res, got, id)
		}
	}
	if got := idOf(t, resource.NewSchemaless(instanceKey.String("shop-1"))); got != "shop-1" {
		t.Errorf("a resource's own id became %q", got)
	}

	other := instanceOfProcess(t)
	if _, err := uuid.Parse(other); err != nil || other == id {
		t.Errorf("another process has %q, this one %q", other, id)
	}
	if got := instanceOfProcess(t, "OTEL_RESOURCE_ATTRIBUTES=service.instance.id=shop-2"); got != "shop-2" {
		t.Errorf("the variable's id became %q", got)
	}
}

func instanceOfProcess(t *testing.T, env ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestInstance$")
	cmd.Env = append(append(os.Environ(), "PRINT_INSTANCE=1"), env...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	_, id, _ := strings.Cut(string(out), "instance=")
	id, _, _ = strings.Cut(id, "\n")
	return id
}
