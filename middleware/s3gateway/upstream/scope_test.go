package upstream

import (
	"strings"
	"testing"
)

func TestScopesTellCredentialsApart(t *testing.T) {
	all := []keys{
		{}, {accessKey: "a", secret: "s"}, {accessKey: "as"}, {accessKey: "a", secret: "t"}, {accessKey: "a", secret: "s", token: "t"},
		{bearer: "b"}, {bearer: "b", exchanged: "key"}, {bearer: "b", exchanged: "other"},
	}
	seen := map[string]int{}
	for i, k := range all {
		s := k.scope()
		if j, taken := seen[s]; taken {
			t.Errorf("credentials %d have the scope of %d", i, j)
		}
		seen[s] = i
		if k.secret != "" && strings.Contains(s, k.secret) && len(k.secret) > 1 {
			t.Errorf("scope %d tells the secret", i)
		}
	}
	if (keys{bearer: "renewed", exchanged: "key"}).scope() != all[6].scope() {
		t.Error("a renewed token is another scope")
	}
	if all[1].scope() != (keys{accessKey: "a", secret: "s"}).scope() {
		t.Error("the same credentials are two scopes")
	}
}
