package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/otelws/otelws-go/examples/benchmark/internal/load"
	"github.com/otelws/otelws-go/examples/benchmark/internal/process"
	"github.com/otelws/otelws-go/examples/benchmark/internal/servers"
)

// contender is a running server, with the counts of its clients.
type contender struct {
	servers.Variant
	procs  int
	proc   *process.Process
	scrape *scraper
	counts load.Counts
}

func (o *options) start(ctx context.Context, v servers.Variant, procs int) (*contender, error) {
	var p *process.Process
	var err error
	if v.Node == servers.NotNode {
		self, exeErr := os.Executable()
		if exeErr != nil {
			return nil, exeErr
		}
		p, err = process.Start(ctx, []string{"GOMAXPROCS=" + strconv.Itoa(procs)}, self, serveCommand, v.Name, o.heartbeat.String())
	} else {
		env := []string{"NODE_PATH=" + o.nodeModules, fmt.Sprintf("HEARTBEAT_MS=%d", o.heartbeat.Milliseconds())}
		if v.Node == servers.NodeMetrics {
			env = append(env, "METRICS=1")
		}
		p, err = process.Start(ctx, env, "node", "--expose-gc", "-e", servers.NodeScript)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.Name, err)
	}
	return &contender{Variant: v, procs: procs, proc: p, scrape: newScraper(p.Metrics)}, nil
}

// stop ends the server.
func (c *contender) stop() {
	c.scrape.client.CloseIdleConnections()
	_ = c.proc.Stop()
}

// nodePackages are the packages that the Node servers need.
var nodePackages = []string{"ws@8.23.0", "prom-client@15.1.3"}

// findNode makes nodeModules absolute. If Node cannot be used, its error tells why.
func (o *options) findNode(ctx context.Context) error {
	if _, err := exec.LookPath("node"); err != nil {
		return fmt.Errorf("node is not installed")
	}
	if o.npmInstall || o.nodeModules == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return err
		}
		dir := filepath.Join(cache, "otelws-benchmark")
		o.nodeModules = filepath.Join(dir, "node_modules")
		if o.npmInstall {
			if err := npmInstall(ctx, dir); err != nil {
				return err
			}
		}
	}
	var err error
	if o.nodeModules, err = filepath.Abs(o.nodeModules); err != nil {
		return err
	}
	for _, name := range []string{"ws", "prom-client"} {
		if _, err := os.Stat(filepath.Join(o.nodeModules, name)); err != nil {
			return fmt.Errorf("%s has no package %s: name a directory that has by -node-modules, or say -npm-install", o.nodeModules, name)
		}
	}
	return nil
}

func npmInstall(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	args := append([]string{"install", "--silent", "--no-audit", "--no-fund", "--no-save", "--prefix", dir}, nodePackages...)
	out, err := exec.CommandContext(ctx, "npm", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("failed to install its packages: %w", errors.Join(err, errors.New(strings.TrimSpace(string(out)))))
	}
	return nil
}
