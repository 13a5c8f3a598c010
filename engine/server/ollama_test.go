package server

import "testing"

func TestOllamaVersion(t *testing.T) {
	ts := serve(t)
	if v, err := ts.client(t).Version(t.Context()); err != nil || v != ollamaVersion {
		t.Errorf("%q %v", v, err)
	}
	if err := ts.client(t).Heartbeat(t.Context()); err != nil {
		t.Error(err)
	}
}
