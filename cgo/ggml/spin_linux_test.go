package ggml

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestMain lets the test binary be its own child: with EYELET_SPIN_CHILD set it says whether the
// environment that Go sees has the setting that libgomp saw.
func TestMain(m *testing.M) {
	if os.Getenv("EYELET_SPIN_CHILD") != "" {
		os.Stdout.WriteString(strings.Join(os.Environ(), "\n"))
		os.Exit(0)
	}
	if _, set := os.LookupEnv("EYELET_ACCEL"); !set {
		os.Setenv("EYELET_ACCEL", "on") // for the tests of it
	}
	os.Exit(m.Run())
}

func TestLibgompWaitsBrieflyUnlessTheUserSaysOtherwise(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	run := func(env ...string) (environ, libgomp string) {
		cmd := exec.Command(exe)
		cmd.Env = append([]string{"FIRST=kept", "EYELET_SPIN_CHILD=1", "OMP_DISPLAY_ENV=verbose"},
			env...)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, stderr.String())
		}
		if !strings.Contains(stderr.String(), "OPENMP DISPLAY ENVIRONMENT") {
			t.Skip("libggml was built without libgomp here: there is nothing to set")
		}
		return string(out), stderr.String()
	}
	environ, libgomp := run()
	if !strings.Contains(libgomp, "GOMP_SPINCOUNT = '10000'") {
		t.Errorf("libgomp read %s", libgomp)
	}
	if want := "FIRST=kept\nEYELET_SPIN_CHILD=1\nOMP_DISPLAY_ENV=verbose"; environ != want {
		t.Errorf("the environment is %q, want %q", environ, want)
	}
	if _, libgomp = run("GOMP_SPINCOUNT=77"); !strings.Contains(libgomp, "GOMP_SPINCOUNT = '77'") {
		t.Errorf("the user's own count is lost: %s", libgomp)
	}
	if environ, libgomp = run("OMP_WAIT_POLICY=active"); !strings.Contains(libgomp,
		"OMP_WAIT_POLICY = 'ACTIVE'") || !strings.HasPrefix(environ, "FIRST=kept\n") {
		t.Errorf("the user's own policy is lost: %s", libgomp)
	}
}
