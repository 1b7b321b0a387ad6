package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	otel "github.com/open-telemetry/opentelemetry-operator/apis/v1beta1"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		check(t, err)
		return v
	}
}

// roots are the directories for kubectl apply -k.
func roots(t testing.TB) []string {
	t.Helper()
	var dirs []string
	check(t, filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Base(path) != "kustomization.yaml" {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), "\nkind: Kustomization\n") {
			dirs = append(dirs, filepath.Dir(path))
		}
		return err
	}))
	if len(dirs) < 6 {
		t.Fatalf("%d roots: %q", len(dirs), dirs)
	}
	return dirs
}

// objects are the objects of a root, in the types of the API. An unknown field is an
// error.
type objects []runtime.Object

var decoder = func() runtime.Decoder {
	types := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		scheme.AddToScheme, monitoringv1.AddToScheme, keda.AddToScheme, otel.AddToScheme,
	} {
		if err := add(types); err != nil {
			panic(err)
		}
	}
	return serializer.NewCodecFactory(types, serializer.EnableStrict).UniversalDeserializer()
}()

func build(t testing.TB, root string) objects {
	t.Helper()
	// Like kubectl apply -k: no plugins, and no files from outside the root.
	all := must(krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), root))(t)
	var result objects
	for _, r := range all.Resources() {
		text := must(r.AsYAML())(t)
		object, _, err := decoder.Decode(text, nil, nil)
		if err != nil {
			t.Errorf("%s: %s: %v", root, r.CurId(), err)
			continue
		}
		result = append(result, object)
	}
	return result
}

// find returns the only object of a type.
func find[T runtime.Object](t testing.TB, in objects) T {
	t.Helper()
	found := findAll[T](in)
	if len(found) != 1 {
		t.Fatalf("%d %T, want one", len(found), *new(T))
	}
	return found[0]
}

func findAll[T runtime.Object](in objects) (found []T) {
	for _, o := range in {
		if o, ok := o.(T); ok {
			found = append(found, o)
		}
	}
	return found
}

func TestRootsBuild(t *testing.T) {
	schemas := readSchemas(t)
	validated := 0
	for _, root := range roots(t) {
		t.Run(root, func(t *testing.T) {
			for _, object := range build(t, root) {
				kind := object.GetObjectKind().GroupVersionKind().Kind
				schema, ok := schemas[kind]
				if !ok {
					continue
				}
				validated++
				validator, _, err := validation.NewSchemaValidator(schema)
				check(t, err)
				var plain map[string]any
				check(t, yaml.Unmarshal(must(yaml.Marshal(object))(t), &plain))
				delete(plain, "status") // the operator writes it
				if errs := validation.ValidateCustomResource(nil, plain, validator); len(errs) > 0 {
					t.Errorf("%s: %v", kind, errs.ToAggregate())
				}
			}
		})
	}
	if validated < 3 {
		t.Errorf("%d objects were held against the schemas of their operators", validated)
	}
}

// readSchemas returns the schemas with which the API server validates objects of KEDA
// and of the OpenTelemetry operator, by kind.
func readSchemas(t *testing.T) map[string]*apiextensions.JSONSchemaProps {
	t.Helper()
	schemas := map[string]*apiextensions.JSONSchemaProps{}
	for module, file := range map[string]string{
		"github.com/kedacore/keda/v2":                      "keda.sh_scaledobjects.yaml",
		"github.com/open-telemetry/opentelemetry-operator": "opentelemetry.io_opentelemetrycollectors.yaml",
	} {
		dir := must(exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output())(t)
		text := must(os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "config", "crd", "bases", file)))(t)
		var crd apiextensionsv1.CustomResourceDefinition
		check(t, yaml.Unmarshal(text, &crd))
		for _, v := range crd.Spec.Versions {
			if v.Storage {
				var schema apiextensions.JSONSchemaProps
				check(t, apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v.Schema.OpenAPIV3Schema, &schema, nil))
				schemas[crd.Spec.Names.Kind] = &schema
			}
		}
	}
	return schemas
}

// Every root except base sets a namespace, and its objects are in that namespace.
func TestNamespaces(t *testing.T) {
	for _, root := range roots(t) {
		if root == "base" {
			continue
		}
		t.Run(root, func(t *testing.T) {
			text := must(os.ReadFile(filepath.Join(root, "kustomization.yaml")))(t)
			if !strings.Contains(string(text), "\nnamespace: ") {
				t.Error("it names no namespace")
			}
		})
	}
	for _, d := range findAll[*appsv1.Deployment](build(t, "overlays/production")) {
		if d.Namespace != "chat" {
			t.Errorf("%s is in namespace %q", d.Name, d.Namespace)
		}
	}
}

// applyLimit is the maximum size of the annotation in which kubectl stores the
// applied object.
const applyLimit = 256 << 10

// The rules and dashboards are the same as those of the repository.
func TestMonitoringIsCurrent(t *testing.T) {
	want := must(monitoring())(t)
	entries := must(os.ReadDir(target))(t)
	for _, entry := range entries {
		name := entry.Name()
		if got := must(os.ReadFile(filepath.Join(target, name)))(t); string(got) != string(want[name]) {
			t.Errorf("%s is out of date: go run . in examples/kubernetes, and remove what it does not write", name)
		}
		if len(want[name]) > applyLimit {
			t.Errorf("%s has %d bytes, kubectl apply takes %d", name, len(want[name]), applyLimit)
		}
	}
	if len(entries) != len(want) {
		t.Errorf("%d files in %s, want %d: go run . in examples/kubernetes", len(entries), target, len(want))
	}
	built := build(t, target)
	if n := len(findAll[*monitoringv1.PrometheusRule](built)); n == 0 {
		t.Error("no PrometheusRule")
	}
}
