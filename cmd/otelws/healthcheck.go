package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/otelws/otelws-go/cmd/otelws/internal/dial"
	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
	"github.com/otelws/otelws-go/exporter"
)

const healthcheckHelp = `Check the health of a server. Use it as the health check of a container that has
neither a shell nor curl.

Without a URL, it checks otelws on this machine, on the default port of --metrics.
With http://localhost:9091/-/ready, it also checks whether the backend of a proxy
accepts connections.

Exit codes:

  0  the server answered with a status from 200 to 299
  1  anything else`

type healthcheckCommand struct {
	config  string
	timeout time.Duration
}

func newHealthcheckCommand() *cobra.Command {
	var h healthcheckCommand
	cmd := &cobra.Command{
		Use:   "healthcheck [URL]",
		Short: "Check the health of a server",
		Long:  healthcheckHelp,
		Example: `  otelws healthcheck
  otelws healthcheck http://localhost:9102/-/ready`,
		Args: between(0, 1, "one URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			address := "http://" + exporter.DefaultListenAddress + "/-/healthy"
			if len(args) > 0 {
				address = args[0]
			}
			return h.run(cmd.Context(), cmd.OutOrStdout(), address)
		},
	}
	f := cmd.Flags()
	f.StringVar(&h.config, "http.config.file", "", "`file` with credentials and TLS settings, as Prometheus's http_config")
	f.DurationVar(&h.timeout, "timeout", 2*time.Second, "time limit of the answer")
	noFiles(cmd, "timeout")
	return cmd
}

func (h *healthcheckCommand) run(ctx context.Context, stdout io.Writer, address string) error {
	if h.timeout <= 0 {
		return fmt.Errorf("--timeout %v: use a positive duration", h.timeout)
	}
	if u, err := url.Parse(address); err != nil || u.Host == "" || !scrape.IsURL(address) {
		return fmt.Errorf("%s: use an address such as http://localhost:9091/-/healthy", address)
	}
	client, _, err := scrape.NewHTTPClient(h.config)
	if err != nil {
		return fmt.Errorf("--http.config.file %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	said, err := answer(ctx, client, address)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %v", h.timeout)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", scrape.Name(address), err)
	}
	_, err = fmt.Fprintln(stdout, said)
	return err
}

// answer returns the first line of the answer.
func answer(ctx context.Context, client *http.Client, address string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", dial.Bare(err) // the caller adds the address
	}
	defer resp.Body.Close()
	line, _ := bufio.NewReader(io.LimitReader(resp.Body, 1<<10)).ReadString('\n')
	line = dial.OneLine(strings.TrimSpace(line))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return "", fmt.Errorf("%s %s", resp.Status, line)
	}
	return line, nil
}
