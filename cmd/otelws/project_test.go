package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/otelws/otelws-go/otelws"
)

const project = "../../.github"

// The files that the guide for contributors mentions exist.
func TestProjectLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^):#]+)\)`)
	for _, name := range []string{"CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"} {
		for _, found := range link.FindAllStringSubmatch(readProject(t, name), -1) {
			if _, err := os.Stat(filepath.Join(project, found[1])); err != nil {
				t.Errorf("%s links to %s: %v", name, found[1], err)
			}
		}
	}
}

// The newest version in the changelog is the version in the source, or the source is
// ahead with unreleased changes.
func TestChangelogHasVersion(t *testing.T) {
	text := readProject(t, "CHANGELOG.md")
	_, unreleased, found := strings.Cut(text, "\n## [Unreleased]\n")
	if !found {
		t.Fatal("the changelog has no section for changes that are not released")
	}
	unreleased, _, _ = strings.Cut(unreleased, "\n## [")
	version := regexp.MustCompile(`(?m)^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$`).FindStringSubmatch(text)
	if (version == nil || version[1] != otelws.Version) && !strings.Contains(unreleased, "\n- ") {
		t.Errorf("the changelog has neither %s nor changes that are not released", otelws.Version)
	}
	if n := strings.Count(text, "\n## ["); version == nil && n > 1 {
		t.Errorf("%d sections, none headed as ## [1.2.3] - 2006-01-02", n)
	}
}

func readProject(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(project, name))
	check(t, err)
	return string(b)
}
