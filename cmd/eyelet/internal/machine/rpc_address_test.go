package machine

import "testing"

func TestTheAddressOfAnRPCServerHasAPort(t *testing.T) {
	var o rpcOptions
	for text, want := range map[string]string{"127.0.0.1": "127.0.0.1:50052",
		"localhost:1": "localhost:1", "::1": "[::1]:50052", "[::1]:9": "[::1]:9"} {
		o.listen = text
		if got, err := o.address(); err != nil || got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
}
