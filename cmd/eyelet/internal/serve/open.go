package serve

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/cli/browser"
	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
)

const openLong = `Open shows Eyelet's page in the browser: conversations about pictures, the models,
what the machine is doing. Nothing on it comes from elsewhere.

If no server answers at --listen, one is started here, as by "eyelet serve" with the
same flags; it runs until Ctrl-C.`

const openExample = `  eyelet open
  eyelet open --model llava.gguf --mmproj mmproj.gguf
  eyelet open --no-browser
      prints the address alone, for a machine without a screen`

// openTime is how long a server may take to say that it is one.
const openTime = 3 * time.Second

// NewOpenCommand returns the command "eyelet open".
func NewOpenCommand() *cobra.Command {
	var o serveOptions
	var noBrowser bool
	cmd := &cobra.Command{
		Use:     "open [flags]",
		Short:   "Show the page in the browser, starting a server if none answers",
		Long:    openLong,
		Example: openExample,
		Args:    cli.ExactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := applyEnvironment(cmd.Flags(), os.Getenv); err != nil {
				return err
			}
			if strings.HasPrefix(o.listen, "unix:") {
				return cli.Usagef("browsers do not open sockets; give --listen a host and a port")
			}
			show := func(address string) { showPage(cmd, address, noBrowser) }
			address := pageAddress(o.listen, o.cert != "")
			answers, err := servesPage(cmd.Context(), address)
			if err != nil {
				return err
			}
			if answers {
				show(address)
				return nil
			}
			o.onListen = func(at net.Addr) { show(pageAddress(at.String(), o.cert != "")) }
			return serve(cmd, &o)
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&noBrowser, "no-browser", false, "print the address, and open no browser")
	return cmd
}

// pageAddress is where a browser on this machine finds a server that listens at an address.
func pageAddress(listen string, encrypted bool) string {
	scheme := "http"
	if encrypted {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return scheme + "://" + listen + "/"
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port) + "/"
}

// servesPage reports whether a server with the page answers at an address. Another program that
// answers there is an error.
func servesPage(ctx context.Context, address string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, address+"page/app.js", nil)
	if err != nil {
		return false, cli.Usagef("%s is no address: %w", address, err)
	}
	// The certificate is this server's own business: nothing is sent to it.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // see above
	defer client.CloseIdleConnections()
	answer, err := client.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return false, fmt.Errorf("what listens at %s does not answer: %w", address, ctx.Err())
		}
		return false, nil // nobody listens, or serve will say what is wrong
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return false, fmt.Errorf("another program answers at %s (an older Eyelet, or Ollama); stop it, or give another address with --listen", address)
	}
	return true, nil
}

// showPage opens an address in the browser, and prints it. Where there is no browser, that is all.
func showPage(cmd *cobra.Command, address string, noBrowser bool) {
	fmt.Fprintln(cmd.OutOrStdout(), address)
	if noBrowser {
		return
	}
	browser.Stdout, browser.Stderr = cmd.ErrOrStderr(), cmd.ErrOrStderr()
	go func() {
		if err := browser.OpenURL(address); err != nil && !cli.BoolFlag(cmd, "quiet") {
			fmt.Fprintln(cmd.ErrOrStderr(),
				"eyelet: no browser could be started; open the address above in one")
		}
	}()
}
