// Registry is the distribution project's container registry, in memory, for tests: what a site
// runs. It is a module of its own, so that its many dependencies stay out of Eyelet's.
//
//	registry [-cert FILE -key FILE] [-htpasswd FILE]
//
// It listens on a free port of the loopback interface and prints the address.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/distribution/distribution/v3/configuration"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	"github.com/sirupsen/logrus"
)

func main() {
	cert := flag.String("cert", "", "certificate (PEM); with -key, for TLS")
	key := flag.String("key", "", "its key (PEM)")
	htpasswd := flag.String("htpasswd", "",
		"file of users and bcrypt hashes; only they may come in")
	flag.Parse()
	if err := serve(*cert, *key, *htpasswd); err != nil {
		fmt.Fprintln(os.Stderr, "registry:", err)
		os.Exit(1)
	}
}

func serve(cert, key, htpasswd string) error {
	logrus.SetLevel(logrus.FatalLevel) // it takes questions for what is not there as errors
	config := &configuration.Configuration{
		Storage: configuration.Storage{"inmemory": configuration.Parameters{}}}
	config.HTTP.Secret = "tests have none"
	if htpasswd != "" {
		config.Auth = configuration.Auth{"htpasswd": configuration.Parameters{"realm": "test",
			"path": htpasswd}}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	app := handlers.NewApp(context.Background(), config)
	fmt.Println(l.Addr())
	if cert != "" {
		return http.ServeTLS(l, app, cert, key)
	}
	return http.Serve(l, app)
}
