package serve

import (
	"context"
	"crypto/tls"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine/server"
)

// secrets are the files of serve that change while it runs: API keys, and the certificate with its
// key. Names of files may be empty.
type secrets struct {
	keysFile, certFile, certKeyFile string

	keys *server.Keys                    // nil without keysFile
	pair atomic.Pointer[tls.Certificate] // nil without certFile
}

// readSecrets reads what there is.
func readSecrets(keysFile, certFile, certKeyFile string) (*secrets, error) {
	s := &secrets{keysFile: keysFile, certFile: certFile, certKeyFile: certKeyFile}
	return s, s.read()
}

// read reads the files, again or for the first time. An error changes nothing.
func (s *secrets) read() error {
	var keys *server.Keys
	if s.keysFile != "" {
		var err error
		if keys, err = server.ReadKeys(s.keysFile); err != nil {
			return &cli.InputError{Err: err}
		}
		if keys.Len() == 0 {
			return cli.Inputf("%s holds no key; make one with \"eyelet serve key NAME --keys %s\"",
				s.keysFile, s.keysFile)
		}
	}
	if s.certFile != "" {
		pair, err := tls.LoadX509KeyPair(s.certFile, s.certKeyFile)
		if err != nil {
			return cli.Inputf("the certificate: %w", err)
		}
		s.pair.Store(&pair)
	}
	switch {
	case keys == nil:
	case s.keys == nil:
		s.keys = keys
	default:
		s.keys.Replace(keys)
	}
	return nil
}

// tls is how the server encrypts: with the certificate that was read last. It is nil without one.
func (s *secrets) tls() *tls.Config {
	if s.certFile == "" {
		return nil
	}
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return s.pair.Load(), nil
		},
		MinVersion: tls.VersionTLS12,
	}
}

// watch reads the files again at each SIGHUP, until ctx is done. Without such files the signal
// changes nothing, as a supervisor's reload should not end a service, unless it comes because the
// server's terminal was closed: then end is called.
func (s *secrets) watch(ctx context.Context, log *slog.Logger, end func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	attached := cli.IsTerminal(os.Stderr)
	go func() {
		defer signal.Stop(signals)
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
			}
			switch nothing := s.keysFile == "" && s.certFile == ""; {
			case nothing && attached:
				end()
				return
			case nothing:
				log.Info("there are no API keys and no certificate to read again")
				continue
			}
			if err := s.read(); err != nil {
				log.Error("API keys and certificate stay as they were", "error", err)
				continue
			}
			log.Info("read API keys and certificate again")
		}
	}()
}
