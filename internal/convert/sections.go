package convert

import (
	"slices"
	"strings"

	"github.com/apus-storage/apus/internal/constraint"
	"github.com/apus-storage/apus/internal/ini"
)

const policySection = "storage-policy"

// swiftDir is the one option whose default differs from Swift's.
const swiftDir = "swift_dir"

// run plans what becomes of each section. [DEFAULT] comes last: what it may have depends on who reads it.
func (c *converter) run() {
	if s := c.file.Section("pipeline:main"); s != nil {
		if o := s.Find("pipeline"); o != nil {
			c.pipeline = strings.Fields(o.Value)
		}
	}
	for _, s := range c.file.Sections {
		p := plan{section: s}
		switch {
		case s.Name == ini.Default:
		case c.kind == Cluster:
			c.planCluster(&p)
		default:
			c.planSection(&p)
		}
		if len(p.table) > 0 {
			if name := strings.Join(p.table, "\x00"); c.tables[name] {
				c.note(s.Line, []string{s.Name}, true, "there is such a section already; commented out")
				p.table = nil
			} else {
				c.tables[name] = true
			}
		}
		c.plans = append(c.plans, p)
	}
	if _, ok := c.known.Server(c.kind).find(swiftDir); ok && c.kind != Cluster && c.file.Section(ini.Default) == nil {
		c.plans = slices.Insert(c.plans, 0, plan{section: &ini.Section{Name: ini.Default}})
	}
	for i := range c.plans {
		if c.plans[i].section.Name == ini.Default {
			c.planDefault(&c.plans[i])
		}
	}
}

// planSection plans a section of a server's or daemon's file.
func (c *converter) planSection(p *plan) {
	s := p.section
	prefix, name, _ := strings.Cut(s.Name, ":")
	name = strings.TrimSpace(name)
	switch {
	case c.kind != Memcache && s.Name == "pipeline:main":
		p.table, p.options, p.filter = []string{"pipeline", "main"}, Options{"pipeline": Words}, true
	case c.kind != Memcache && (prefix == "filter" || prefix == "app" || prefix == "application") && name != "":
		p.filter = true
		if prefix == "application" {
			prefix = "app"
		}
		c.planFilter(p, prefix, name)
	case prefix == "pipeline" || prefix == "composite" || prefix == "composit" || prefix == "filter-app" || prefix == "server":
		c.note(s.Line, []string{s.Name}, slices.Contains(c.pipeline, name), "Apus has one pipeline, [pipeline.main], of filters and an app; commented out")
	case c.policyOf(s.Name) != nil:
		c.planPolicy(p)
	default:
		c.planTable(p)
	}
}

// policyOf takes "proxy-server:policy:1" apart: the app's name and the policy's number.
func (c *converter) policyOf(name string) []string {
	app, index, ok := strings.Cut(name, ":policy:")
	if !ok || index == "" || (c.file.Section("app:"+app) == nil && c.file.Section("application:"+app) == nil) {
		return nil
	}
	return []string{app, strings.TrimSpace(index)}
}

func (c *converter) planPolicy(p *plan) {
	at := c.policyOf(p.section.Name)
	p.table = []string{"app", at[0], "policy", at[1]}
	s := c.file.Section("app:" + at[0])
	if s == nil {
		s = c.file.Section("application:" + at[0])
	}
	// The app's own options, of which the policy may have some; which ones, the app says when it reads the file.
	if _, options, ok := c.kindOf(s, "app", at[0]); ok {
		p.options = options
	} else {
		p.dead = true
	}
}

func (c *converter) planTable(p *plan) {
	s := p.section
	options, ok := c.known.Table(c.kind, s.Name)
	if !ok {
		c.note(s.Line, []string{s.Name}, false, "Apus reads no such section in this file; commented out")
		return
	}
	p.table, p.options = []string{s.Name}, options
	if c.kind != Expirer || s.Name != string(Expirer) {
		return
	}
	// With a file of its own Swift's expirer takes from the queue whatever the option says.
	const dequeue = "dequeue_from_legacy"
	if _, ok := options.find(dequeue); ok {
		p.extra = append(p.extra, dequeue+" = true")
		c.note(s.Line, []string{s.Name, dequeue}, false, "added: to Swift this file means it")
	}
}

// planFilter plans a section that Paste would load.
func (c *converter) planFilter(p *plan, table, name string) {
	s := p.section
	p.table = []string{table, name}
	p.base = c.baseOf(s, table)
	kind, options, ok := c.kindOf(s, table, name)
	if ok {
		p.options = options
		// The section's name may do, but only as it stands.
		own, _, known := c.known.Filter(name)
		if table == "app" {
			own, _, known = c.known.App(name)
		}
		if !known || own != kind {
			p.use = kind
		}
		return
	}
	p.dead, p.use = true, kind
	line := s.Line
	for _, key := range []string{"use", "paste." + table + "_factory"} {
		if o := s.Find(key); o != nil {
			line = o.Line
		}
	}
	if !slices.Contains(c.pipeline, name) {
		c.note(line, p.table, false, "Apus has no %s %q; it is not in the pipeline and is commented out", table, kind)
		p.table = nil
		return
	}
	c.note(line, p.table, true, "Apus has no %s %q; it is left in the pipeline for you to replace it or take it out", table, kind)
}

func (c *converter) lookup(table, name string) (kind string, options Options, ok bool) {
	if table == "filter" {
		return c.known.Filter(name)
	}
	kind, options, ok = c.known.App(name)
	if !ok {
		// Swift's entry points leave out what the sections' names have.
		kind, options, ok = c.known.App(name + "-server")
	}
	return kind, options, ok
}

// baseOf returns the section that another one uses, nil if it uses none of this file.
func (c *converter) baseOf(s *ini.Section, table string) *ini.Section {
	use := s.Find("use")
	if use == nil || strings.ContainsAny(use.Value, ":#") {
		return nil
	}
	base := c.file.Section(table + ":" + use.Value)
	if base == s {
		return nil
	}
	return base
}

// factories are Python's names of filters that are not Swift's own.
var factories = map[string]string{
	"keystonemiddleware.auth_token":                "authtoken",
	"keystoneclient.middleware.auth_token":         "authtoken",
	"keystone.middleware.auth_token":               "authtoken",
	"keystonemiddleware.s3_token":                  "s3token",
	"keystonemiddleware.audit":                     "audit",
	"oslo_middleware.healthcheck":                  "healthcheck",
	"swift.common.middleware.xprofile":             "xprofile",
	"swift.common.middleware.crypto":               "encryption",
	"swift.common.middleware.crypto.keymaster":     "keymaster",
	"swift.common.middleware.s3api.s3api":          "s3api",
	"swift.common.middleware.s3api.s3token":        "s3token",
	"swift.common.middleware.versioned_writes":     "versioned_writes",
	"swift.common.middleware.crypto.encryption":    "encryption",
	"swift.common.middleware.crypto.kms_keymaster": "kms_keymaster",
}

// kindOf finds out what a section is. If Apus does not have it, kind is what the file calls it.
func (c *converter) kindOf(s *ini.Section, table, name string) (kind string, options Options, ok bool) {
	for depth := 0; s != nil && depth < 10; depth++ {
		if o := s.Find("paste." + table + "_factory"); o != nil {
			module, _, _ := strings.Cut(o.Value, ":")
			entry, found := factories[module]
			if rest, own := strings.CutPrefix(module, "swift.common.middleware."); own && !found {
				entry, found = rest, true
			}
			if !found {
				return o.Value, nil, false
			}
			kind, options, ok = c.lookup(table, entry)
			return orText(kind, o.Value, ok), options, ok
		}
		o := s.Find("use")
		if o == nil {
			return name, nil, false
		}
		if entry, found := entryPoint(o.Value); found {
			kind, options, ok = c.lookup(table, entry)
			return orText(kind, o.Value, ok), options, ok
		}
		next := c.baseOf(s, table)
		if next == nil {
			return o.Value, nil, false
		}
		s = next
	}
	return name, nil, false
}

func orText(kind, text string, ok bool) string {
	if ok {
		return kind
	}
	return text
}

// entryPoint returns the name in "egg:swift#name". Other packages' names mean other things.
func entryPoint(use string) (string, bool) {
	spec, ok := strings.CutPrefix(use, "egg:")
	if !ok {
		return "", false
	}
	pkg, name, ok := strings.Cut(spec, "#")
	pkg = strings.ToLower(strings.TrimSpace(pkg))
	switch {
	case !ok || name == "":
		return "", false
	case pkg == "swift":
		return strings.TrimSpace(name), true
	case pkg == "swift3" && name == "swift3":
		return "s3api", true // what it has become
	case pkg == "keystonemiddleware" && name == "auth_token":
		return "authtoken", true
	}
	return "", false
}

// planCluster plans a section of swift.conf.
func (c *converter) planCluster(p *plan) {
	s := p.section
	index, isPolicy := strings.CutPrefix(s.Name, policySection+":")
	switch {
	case s.Name == "swift-hash":
		p.table, p.options = []string{s.Name}, Options{"swift_hash_path_prefix": String, "swift_hash_path_suffix": String}
	case s.Name == "swift-constraints":
		p.table, p.options = []string{s.Name}, OptionsOf(constraint.Limits{})
	case isPolicy:
		p.table = []string{policySection, strings.TrimSpace(index)}
		p.options = Options{
			"name": String, "aliases": List, "policy_type": String, "default": Bool, "deprecated": Bool, "diskfile_module": String,
			"ec_type": String, "ec_num_data_fragments": Int, "ec_num_parity_fragments": Int, "ec_object_segment_size": Int,
			"ec_duplication_factor": Int,
		}
	default:
		c.note(s.Line, []string{s.Name}, false, "Apus reads no such section in this file; commented out")
		return
	}
	// There is no [DEFAULT] in swift.toml, so what is inherited is written where it counts.
	p.base = c.file.Section(ini.Default)
}

// planDefault plans [DEFAULT]: somebody who is there must know each option.
func (c *converter) planDefault(p *plan) {
	if c.kind == Cluster {
		c.note(p.section.Line, []string{ini.Default}, false, "commented out: its options are written to the sections that inherit them")
		return
	}
	p.table = []string{ini.Default}
	if c.kind == Memcache {
		p.options, _ = c.known.Table(c.kind, "memcache")
		return
	}
	p.options = Options{}
	for k, t := range c.known.Server(c.kind) {
		p.options[k] = t
	}
	for _, other := range c.plans {
		if len(other.table) > 0 && other.section != p.section {
			for k, t := range other.options {
				if _, ok := p.options[k]; !ok && other.table[0] != "pipeline" {
					p.options[k] = t
				}
			}
		}
	}
	if _, ok := p.options.find(swiftDir); ok && p.section.Find(swiftDir) == nil {
		p.extra = append(p.extra, swiftDir+` = "/etc/swift"`)
		c.note(p.section.Line, []string{ini.Default, swiftDir}, false, "added: Apus would look elsewhere by itself")
	}
}
