package batch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	natsd "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// ServeOptions are the options of Serve.
type ServeOptions struct {
	Dir    string // of the store
	Host   string
	Port   int    // 0 for any
	Config string // file of NATS's configuration; what it says comes before the fields above
	Sync   bool   // as in EmbedOptions
	// Log is told of a full disk, and that there is room again; nil for nobody.
	Log func(text string)
}

// Serve runs a queue that others reach, a NATS server with JetStream, until ctx is done. It calls
// ready with the address once it listens. Errors wrap ErrInUse, ErrConfig
// or ErrQueue.
func Serve(ctx context.Context, o ServeOptions, ready func(address string)) error {
	options := &natsd.Options{}
	if o.Config != "" {
		var err error
		if options, err = natsd.ProcessConfigFile(o.Config); err != nil {
			return fmt.Errorf("%w: %w", ErrConfig, err)
		}
	}
	options.NoSigs, options.NoLog, options.JetStream = true, true, true
	options.ServerName = cmp.Or(options.ServerName, "eyelet")
	options.StoreDir = cmp.Or(options.StoreDir, o.Dir)
	if options.Host == "" && options.Port == 0 {
		options.Host, options.Port = o.Host, cmp.Or(o.Port, natsd.RANDOM_PORT)
	}
	options.SyncAlways = options.SyncAlways || o.Sync
	if options.StoreDir == "" {
		return fmt.Errorf("%w: neither the options nor %s say where the store is", ErrQueue,
			o.Config)
	}
	lock, err := lockStore(options.StoreDir)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Unlock() }()
	s, err := natsd.NewServer(options)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrQueue, err)
	}
	disk := newStoreDisk(options.StoreDir)
	note := &logNote{hear: disk.hear}
	s.SetLoggerV2(note, false, false, false)
	s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	if !started(s, note) {
		return fmt.Errorf("%w: it does not start: %s", ErrQueue,
			cmp.Or(note.text(), "no reason is known"))
	}
	say := o.Log
	if say == nil {
		say = func(string) {}
	}
	watching, stop := context.WithCancel(ctx)
	var healing sync.WaitGroup
	defer healing.Wait()
	defer stop()
	healing.Go(func() { disk.heal(watching, s, say) })
	ready(s.Addr().String())
	ended := make(chan struct{})
	go func() { s.WaitForShutdown(); close(ended) }()
	select {
	case <-ctx.Done():
		return nil
	case <-ended:
		return fmt.Errorf("%w: the server has ended: %s", ErrQueue, note.text())
	}
}

// Absent reports whether an error of Connect says that nobody listens there, which may pass.
func Absent(err error) bool {
	return errors.Is(err, nats.ErrNoServers) || errors.Is(err, nats.ErrTimeout)
}

// Refused reports whether an error of Connect says that the server does not know whoever connects.
func Refused(err error) bool { return errors.Is(err, nats.ErrAuthorization) }
