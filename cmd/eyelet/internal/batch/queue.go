package batch

import (
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine/batch"
)

const queueLong = `Queue runs a NATS server with JetStream, for sites that have none: the queue that
"eyelet batch --nats" and "eyelet worker" share. It is the server that batch has inside,
with a socket. A cluster of three is set up with nats-server itself, or with --config.

Whoever reaches the address can use the queue, so it listens on this machine alone unless
--listen says otherwise. Users, TLS, limits and clusters are configured in NATS's own
language in the file of --config, as nats-server takes it.`

const queueExample = `  eyelet queue --store /srv/queue
  eyelet queue --store /srv/queue --listen 10.0.0.5:4222 --config site.conf`

// NewQueueCommand returns the command "eyelet queue".
func NewQueueCommand() *cobra.Command {
	var o batch.ServeOptions
	listen := ""
	cmd := &cobra.Command{
		Use:     "queue --store DIR",
		Short:   "Run the queue of batches of a site, a NATS server",
		Long:    queueLong,
		Example: queueExample,
		Args:    cli.ExactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Dir == "" && o.Config == "" {
				return cli.Usagef("say with --store DIR where the queue is kept")
			}
			if o.Host, o.Port, err = hostPort(listen); err != nil {
				return cli.Usagef("--listen is %q; give an address and a port, as 127.0.0.1:4222",
					listen)
			}
			if o.Dir != "" {
				if o.Dir, err = filepath.Abs(o.Dir); err != nil {
					return err
				}
				if err := os.MkdirAll(o.Dir, 0o700); err != nil {
					return cli.Inputf("%s: %w", o.Dir, cli.Cause(err))
				}
			}
			o.Log = func(text string) { fmt.Fprintf(cmd.ErrOrStderr(), "eyelet: %s\n", text) }
			return batch.Serve(cmd.Context(), o, func(address string) {
				cli.Say(cmd, "eyelet: the queue listens at nats://%s", address)
			})
		},
	}
	f := cli.OrderedFlags(cmd)
	f.StringVar(&o.Dir, "store", "", "folder of the store; it is made if needed")
	f.StringVarP(&listen, "listen", "l", "127.0.0.1:4222", "address to listen on")
	f.StringVar(&o.Config, "config",
		"", "file of NATS's configuration, for users, TLS, limits and clusters; what it says of listen and store comes before the flags")
	f.BoolVar(&o.Sync, "sync", false,
		"have each message reach the disk before it counts as stored, which outlives a power cut")
	return cmd
}

func hostPort(listen string) (host string, port int, err error) {
	at, err := net.ResolveTCPAddr("tcp", listen)
	if err != nil {
		return "", 0, err
	}
	host, _, err = net.SplitHostPort(listen)
	return host, at.Port, err
}
