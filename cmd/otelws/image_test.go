//go:build linux

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// The image contains only the program and the certificate authorities. It runs
// without root on a read-only file system, and its health check is the program.
func TestImage(t *testing.T) {
	b := newImageBuilder(t)
	b.standIn()
	b.build("otelws", "../..")
	root := b.mount("otelws")

	var config struct {
		User         string
		Entrypoint   []string
		Healthcheck  struct{ Test []string }
		ExposedPorts map[string]struct{}
	}
	b.inspect("otelws", &config)
	if want := []string{"CMD", "/otelws", "healthcheck"}; !slices.Equal(config.Healthcheck.Test, want) {
		t.Errorf("the health check is %q, want %q", config.Healthcheck.Test, want)
	}
	if want := []string{"/otelws"}; !slices.Equal(config.Entrypoint, want) {
		t.Errorf("the entry point is %q, want %q", config.Entrypoint, want)
	}
	if uid, _, _ := strings.Cut(config.User, ":"); uid == "" || strings.Trim(uid, "123456789") == uid {
		t.Errorf("the user is %q, want a number above 0, which Kubernetes can see to be no root", config.User)
	}

	in := func(args ...string) *exec.Cmd { return inImage(root, config.User, append(config.Entrypoint, args...)) }
	server := startCommand(t, readPlaces, in("demo", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"))
	healthcheck := config.Healthcheck.Test[2:]
	healthcheck = append(healthcheck, strings.TrimSuffix(server.metrics, "metrics")+"-/healthy")
	if out, err := in(healthcheck...).CombinedOutput(); err != nil {
		t.Errorf("the health check of a running server: %v\n%s", err, out)
	}
	check(t, server.cmd.Process.Signal(syscall.SIGTERM))
	if err := server.wait(t); err != nil {
		t.Errorf("the server ended with %v\n%s", err, server.log)
	}
	if out, err := in(healthcheck...).CombinedOutput(); err == nil {
		t.Errorf("the health check of a server that has ended succeeds: %s", out)
	}

	// A release adds the program as a binary. Nothing else may differ.
	release := t.TempDir()
	platform := filepath.Join(release, "linux", runtime.GOARCH)
	check(t, os.MkdirAll(platform, 0o755))
	check(t, os.Link(filepath.Join(root, "otelws"), filepath.Join(platform, "otelws")))
	b.build("released", release, "--target", "release")
	b.mount("released")
}

// inImage returns a command that runs in the root of an image, mounted read-only.
func inImage(root, user string, args []string) *exec.Cmd {
	script := `mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && user="$1" && shift && exec chroot --userspec="$user" "$0" "$@"`
	return exec.Command("unshare", append([]string{"--mount", "sh", "-c", script, root, user}, args...)...)
}

// imageBuilder runs buildah with a separate storage.
type imageBuilder struct {
	t   *testing.T
	dir string
}

func newImageBuilder(t *testing.T) *imageBuilder {
	if testing.Short() {
		t.Skip("it compiles otelws")
	}
	if _, err := exec.LookPath("buildah"); err != nil {
		t.Skip("there is no buildah")
	}
	if os.Geteuid() != 0 {
		t.Skip("buildah without root needs user namespaces")
	}
	b := &imageBuilder{t, t.TempDir()}
	t.Cleanup(func() { b.run("unmount", "--all"); b.run("rm", "--all") })
	return b
}

func (b *imageBuilder) run(args ...string) string {
	b.t.Helper()
	storage := []string{"--root", filepath.Join(b.dir, "root"), "--runroot", filepath.Join(b.dir, "run"), "--storage-driver", "vfs"}
	cmd := exec.Command("buildah", append(storage, args...)...)
	cmd.Env = append(os.Environ(), "BUILDAH_ISOLATION=chroot")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		b.t.Fatalf("buildah %s: %v\n%s%s", strings.Join(args, " "), err, out, &stderr)
	}
	return strings.TrimSpace(string(out))
}

// standIn builds an image of programs of this machine. It replaces the image in which
// the Dockerfile compiles, and from which it copies the authorities.
func (b *imageBuilder) standIn() {
	t := b.t
	root := filepath.Join(b.dir, "golang")
	for _, dir := range []string{"usr", "tmp", "modules", "cache", "etc/ssl/certs"} {
		check(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	for _, name := range []string{"bin", "lib", "lib64"} {
		target, err := os.Readlink("/" + name)
		if err != nil {
			t.Skip("the stand-in for golang wants /bin and /lib to be links into /usr")
		}
		check(t, os.Symlink(target, filepath.Join(root, name)))
	}
	for _, path := range []string{"etc/ssl/certs/ca-certificates.crt", "etc/resolv.conf", "etc/hosts"} {
		text, err := os.ReadFile("/" + path)
		if err != nil {
			t.Skip("the stand-in for golang wants ", err)
		}
		check(t, os.WriteFile(filepath.Join(root, path), text, 0o644))
	}
	file := filepath.Join(b.dir, "Dockerfile")
	check(t, os.WriteFile(file, fmt.Appendf(nil, "FROM scratch\nCOPY . /\nENV PATH=%s/bin:/usr/bin:/bin GOMODCACHE=/modules GOCACHE=/cache GOTOOLCHAIN=local GOPROXY=%s\n",
		goEnv(t, "GOROOT"), goEnv(t, "GOPROXY")), 0o644))
	b.run("build", "--file", file, "--tag", "docker.io/library/golang:1.26", root)
}

func (b *imageBuilder) build(tag, dir string, args ...string) {
	b.t.Helper()
	args = append([]string{"build", "--file", "Dockerfile", "--tag", tag, "--format", "docker", "--pull-never",
		"--platform", "linux/" + runtime.GOARCH, "--network", "host", "--volume", "/usr:/usr:ro"}, args...)
	for _, v := range [][2]string{{"GOROOT", ""}, {"GOMODCACHE", "/modules"}, {"GOCACHE", "/cache"}} {
		path := goEnv(b.t, v[0])
		args = append(args, "--volume", path+":"+cmp.Or(v[1], path))
	}
	b.run(append(args, dir)...)
}

// mount returns the root of an image, and checks that it has the expected files.
func (b *imageBuilder) mount(tag string) string {
	b.t.Helper()
	root := b.run("mount", b.run("from", "--pull-never", tag))
	var files []string
	check(b.t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, strings.TrimPrefix(path, root))
		}
		return err
	}))
	if want := []string{"/etc/ssl/certs/ca-certificates.crt", "/otelws"}; !slices.Equal(files, want) {
		b.t.Errorf("%s has the files %q, want %q", tag, files, want)
	}
	return root
}

// inspect returns the configuration of an image.
func (b *imageBuilder) inspect(tag string, config any) {
	b.t.Helper()
	image := struct {
		Docker struct {
			Config any `json:"config"`
		}
	}{}
	image.Docker.Config = config
	check(b.t, json.Unmarshal([]byte(b.run("inspect", "--type", "image", tag)), &image))
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	check(t, err)
	return strings.TrimSpace(string(out))
}
