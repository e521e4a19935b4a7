package upstream

import (
	"errors"
	"fmt"
	"strings"
)

// parseProfile reads a profile from AWS' shared credentials file:
//
//	[default]
//	aws_access_key_id = AKIAIOSFODNN7EXAMPLE
//	aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
//	aws_session_token = ...
//
// Errors name lines and never what is on them.
func parseProfile(data []byte, profile string) (keys, error) {
	var k keys
	here, found := false, false
	number := 0
	for line := range strings.SplitSeq(string(data), "\n") {
		number++
		text := strings.TrimSpace(line)
		if text == "" || text[0] == '#' || text[0] == ';' {
			continue
		}
		if text[0] == '[' {
			name, rest, ok := strings.Cut(text[1:], "]")
			if rest = strings.TrimSpace(rest); !ok || rest != "" && rest[0] != '#' && rest[0] != ';' {
				return keys{}, fmt.Errorf("line %d is not the head of a profile", number)
			}
			name = strings.TrimSpace(name)
			here = name == profile || strings.TrimSpace(strings.TrimPrefix(name, "profile ")) == profile
			found = found || here
			continue
		}
		if line[0] == ' ' || line[0] == '\t' {
			continue // what belongs to the line before is none of ours
		}
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return keys{}, fmt.Errorf("line %d is not a name with a value", number)
		}
		if here {
			k.set(strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value))
		}
	}
	switch {
	case !found:
		return keys{}, fmt.Errorf("there is no profile %q", profile)
	case k.accessKey == "" || k.secret == "":
		return keys{}, fmt.Errorf("profile %q has no aws_access_key_id or no aws_secret_access_key", profile)
	case strings.ContainsAny(k.accessKey+k.secret+k.token, "\r\x00"):
		return keys{}, errors.New("there are control characters in it")
	}
	return k, nil
}

func (k *keys) set(name, value string) {
	switch name {
	case "aws_access_key_id":
		k.accessKey = value
	case "aws_secret_access_key":
		k.secret = value
	case "aws_session_token":
		k.token = value
	}
}
