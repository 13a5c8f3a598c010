// Package offlinetest runs the tests of a package where there is no network but loopback.
package offlinetest

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// variable tells a test process that it runs in a network namespace of its own, and has to make its
// loopback interface work.
const variable = "EYELET_TEST_OFFLINE"

// refused says why this process has a network nevertheless.
var refused = "Enter was not called"

// Enter runs the calling test program again in a network namespace with loopback alone, and exits
// as it does; TestMain begins with it. It returns in that other process, and where tests run as
// they are: where the system lets nobody make namespaces, with EYELET_SLOW, and in fuzzing, whose
// processes talk through files that they inherit.
func Enter() {
	if os.Getenv(variable) != "" {
		refused = ""
		return
	}
	if os.Getenv("EYELET_SLOW") != "" {
		refused = "slow tests may need a network"
		return
	}
	for _, arg := range os.Args[1:] {
		if strings.HasPrefix(arg, "-test.fuzz") {
			refused = "this process fuzzes"
			return
		}
	}
	refused = runApart()
}

// Check fails the test if there is a network, and skips it where Enter could not leave it behind.
func Check(t *testing.T) {
	t.Helper()
	if refused != "" {
		t.Skip("the tests have a network: ", refused)
	}
	c, err := net.DialTimeout("tcp", "192.0.2.1:80", time.Second)
	if err == nil {
		c.Close()
		t.Error("there is a network")
	}
}
