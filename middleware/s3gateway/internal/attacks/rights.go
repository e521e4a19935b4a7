package attacks

import "strings"

// by makes a case of a request that is signed well by somebody who may not make it.
func by(k Key, name, code, method, target string, fields ...string) Case {
	return Case{Name: name, Code: code, make: func(w World) *message {
		m := request(w, method, target)
		for i := 0; i < len(fields); i += 2 {
			m.with(fields[i], fields[i+1])
		}
		if method == "PUT" && m.get("X-Amz-Copy-Source") == "" {
			m.carry("hello")
		}
		return m.sign(w, k, how{})
	}}
}

func paths() []Case {
	tenant := func(name, path string) Case {
		return by(Tenant, "outside of the prefix: "+name, forbidden, "GET", "/"+Bucket+"/"+path)
	}
	owner := func(name, code, path string) Case { return by(Owner, "path: "+name, code, "GET", path) }
	return []Case{
		tenant("another key", "2025/a"),
		tenant("a key that only begins alike", "2026a"),
		tenant("the prefix without its slash", "2026"),
		tenant("the prefix further behind", "x/2026/a"),
		tenant("a slash before the prefix", "/2026/a"),
		tenant("another case", "%32026X/a"),
		tenant("two dots", "2026/../2025/a"),
		tenant("two dots at the end", "2026/.."),
		tenant("one dot", "2026/./a"),
		tenant("two dots before", "x/../2026/a"),
		tenant("encoded dots", "2026/%2e%2e/2025/a"),
		tenant("dots and encoded slashes", "2026%2F..%2F2025%2Fa"),
		tenant("dots encoded twice", "2026/%252e%252e/2025/a"),
		tenant("slashes encoded twice", "2026/..%252F2025/a"),
		tenant("backslashes", "2026/..%5C2025/a"),
		tenant("backslashes all over", "2026%5C..%5C2025/a"),
		owner("two dots out of the bucket", "InvalidURI", "/"+Bucket+"/../"+Foreign+"/a"),
		owner("encoded dots out of the bucket", "InvalidURI", "/"+Bucket+"/%2e%2e/"+Foreign+"/a"),
		owner("dots and encoded slashes out of the bucket", "InvalidURI", "/"+Bucket+"/..%2F"+Foreign+"%2Fa"),
		owner("dots encoded twice out of the bucket", "InvalidURI", "/"+Bucket+"/%252e%252e/"+Foreign+"/a"),
		owner("out of the bucket, from deeper", "InvalidURI", "/"+Bucket+"/a/b/../../../"+Foreign+"/a"),
		owner("out of the bucket by backslashes", "InvalidURI", "/"+Bucket+"/..%5C"+Foreign+"%5Ca"),
		owner("no bucket", "InvalidURI", "//"+Bucket+"/a"),
		owner("a bucket of dots", "InvalidBucketName", "/../"+Foreign+"/a"),
		owner("a bucket of encoded dots", "InvalidBucketName", "/%2e%2e/"+Foreign+"/a"),
		owner("a bucket with a query in it", "InvalidBucketName", "/"+Bucket+"%3Facl"),
		owner("a bucket with a backslash", "InvalidBucketName", "/"+Bucket+"%5C..%5C"+Foreign+"/a"),
		owner("a key that is no text", "InvalidURI", "/"+Bucket+"/%ff%fe"),
		owner("a parameter that is not encoded well", "InvalidURI", "/"+Bucket+"/a?versionId=%zz"),
		owner("very many parameters", "InvalidURI", "/"+Bucket+"/a?"+strings.Repeat("a&", 200)),
	}
}

func hosts() []Case {
	at := func(name, code, host string, c Case) Case {
		from := c.make
		c.Name, c.Code = "host: "+name, code
		c.make = func(w World) *message {
			w.Host = host
			return from(w)
		}
		return c
	}
	object, list := by(Owner, "", "", "GET", "/2026/a"), by(Tenant, "", "", "GET", "/")
	return []Case{
		at("another's bucket", forbidden, Foreign+"."+Domain, object),
		at("another's bucket in upper case", forbidden, strings.ToUpper(Foreign+"."+Domain), object),
		at("another's bucket with a dot and a port", forbidden, Foreign+"."+Domain+".:8080", object),
		at("a bucket of dots", "InvalidBucketName", ".."+Domain, object),
		at("a bucket with a wildcard", "InvalidBucketName", "*."+Domain, object),
		at("out of the bucket", "InvalidURI", Bucket+"."+Domain, by(Owner, "", "", "GET", "/../"+Foreign+"/a")),
		at("a list of everything", forbidden, Bucket+"."+Domain, list),
		at("a list of a prefix that stands in the path", forbidden, Bucket+"."+Domain, by(Tenant, "", "", "GET", "/?list-type=2&x=/2026/")),
		at("a bucket in the path too", forbidden, Bucket+"."+Domain, by(Tenant, "", "", "GET", "/"+Bucket+"/2026/a")),
		at("a domain that only ends alike", forbidden, "x"+Domain, by(Owner, "", "", "GET", "/"+Foreign+"/a")),
		changed("host: replayed at another bucket's host", mismatch, at("", "", Bucket+"."+Domain, object).make,
			func(_ World, m *message) { m.host = "photos-2." + Domain }),
		changed("host: replayed with the bucket in the path", mismatch, at("", "", Bucket+"."+Domain, object).make,
			func(w World, m *message) { m.host, m.path = w.Host, "/"+Bucket+m.path }),
		changed("host: moved from the path", mismatch, get, func(_ World, m *message) { m.host, m.path = Bucket+"."+Domain, "/2026/a" }),
	}
}

func rights() []Case {
	source := "X-Amz-Copy-Source"
	tenant := func(name, code, method, target string, fields ...string) Case {
		return by(Tenant, "prefixes: "+name, code, method, target, fields...)
	}
	object, all := "/"+Bucket+"/2026/a", "/"+Bucket
	return append([]Case{
		by(Reader, "a reader writes", forbidden, "PUT", object),
		by(Reader, "a reader deletes", forbidden, "DELETE", object),
		by(Reader, "a reader lists", forbidden, "GET", all),
		by(Reader, "a reader lists with an ACL beside", forbidden, "GET", all+"?acl&prefix="),
		by(Reader, "a reader lists with something unknown", forbidden, "GET", all+"?unknown"),
		by(Reader, "a reader lists buckets", forbidden, "GET", "/"),
		by(Reader, "a reader writes what there is not", forbidden, "PUT", "/"),
		by(Reader, "a reader lists versions", forbidden, "GET", all+"?versions"),
		by(Reader, "a reader lists uploads with a key", forbidden, "GET", object+"?uploads"),
		by(Reader, "a reader begins an upload", forbidden, "POST", object+"?uploads"),
		by(Reader, "a reader writes a part", forbidden, "PUT", object+"?partNumber=1&uploadId=u"),
		by(Reader, "a reader ends an upload", forbidden, "POST", object+"?uploadId=u"),
		by(Reader, "a reader gives up an upload", forbidden, "DELETE", object+"?uploadId=u"),
		by(Reader, "a reader sets an ACL", forbidden, "PUT", object+"?acl"),
		by(Reader, "a reader sets a policy", forbidden, "PUT", all+"?policy"),
		by(Reader, "a reader makes a bucket", forbidden, "PUT", all),
		by(Reader, "a reader copies", forbidden, "PUT", object, source, all+"/2026/b"),
		by(Reader, "a reader asks by a method of no standard", forbidden, "PATCH", object),
		by(Lister, "a lister reads", forbidden, "GET", object),
		by(Lister, "a lister looks", forbidden, "HEAD", object),
		by(Lister, "a lister reads a part", forbidden, "GET", object+"?uploadId=u&partNumber=1"),
		by(Lister, "a lister reads, and says that it lists parts", forbidden, "GET", object+"?uploadId=u&versionId=1"),
		by(Lister, "a lister reads with an empty uploadId", invalid, "GET", object+"?uploadId="),
		by(Lister, "a lister reads with an empty uploadId that has no sign", invalid, "GET", object+"?uploadId"),
		by(Lister, "a lister reads with an uploadId in another case", invalid, "GET", object+"?UploadID=u"),
		by(Lister, "a lister reads with two uploadIds", invalid, "GET", object+"?uploadId=u&uploadId="),
		by(Writer, "a writer reads", forbidden, "GET", object),
		by(Writer, "a writer looks", forbidden, "HEAD", object),
		by(Writer, "a writer reads with an uploadId", forbidden, "GET", object+"?uploadId=u"),
		by(Writer, "a writer selects", forbidden, "POST", object+"?select&select-type=2"),
		by(Writer, "a writer selects, and ends an upload", forbidden, "POST", object+"?select&uploadId=u"),
		by(Writer, "a writer lists", forbidden, "GET", all+"?list-type=2"),
		by(Writer, "a writer reads by a copy", forbidden, "PUT", object, source, all+"/2026/b"),
		by(Writer, "a writer reads by a copy in the query", forbidden, "PUT", object+"?x-amz-copy-source="+Bucket+"/b"),
		by(Writer, "a writer reads by a copied part", forbidden, "PUT", object+"?partNumber=1&uploadId=u", source, all+"/2026/b"),
		by(Owner, "another's bucket", forbidden, "GET", "/"+Foreign+"/a"),
		by(Owner, "another's bucket in another case", forbidden, "GET", "/Photos-1/a"),
		by(Owner, "a copy from another's bucket", forbidden, "PUT", object, source, "/"+Foreign+"/a"),
		by(Owner, "a copy from another's bucket, encoded", forbidden, "PUT", object, source, "%2F"+Foreign+"%2Fa"),
		by(Owner, "a copy that climbs to another's bucket", invalid, "PUT", object, source, "/"+Bucket+"/../"+Foreign+"/a"),
		by(Owner, "a copy that climbs, encoded", invalid, "PUT", object, source, "/"+Bucket+"/%2e%2e%2f"+Foreign+"/a"),
		by(Owner, "a copy from two sources", invalid, "PUT", object, source, "/"+Bucket+"/a", source, "/"+Foreign+"/a"),
		by(Owner, "a copy from one source in the head and one in the query", invalid, "PUT", object+"?x-amz-copy-source="+Foreign+"/a", source, "/"+Bucket+"/a"),
		by(Owner, "a copy of something that is not there", invalid, "PUT", object, source, Bucket),
		by(Owner, "a copy with another parameter", invalid, "PUT", object, source, Bucket+"/a?versionId=1&acl"),
		by(Owner, "a copy in disguise", forbidden, "PUT", object, "X-Amz-Copy_Source", "/"+Foreign+"/a"),
		by(Owner, "a copy from an ARN", "NotImplemented", "PUT", object, source, "arn:aws:s3:us-east-1:1:accesspoint/x/object/a"),
		by(Owner, "renaming another's object", "NotImplemented", "PUT", object+"?renameObject", "X-Amz-Rename-Source", "/"+Foreign+"/a"),
		by(Owner, "a form from a browser, signed as other requests", invalid, "POST", all, "Content-Type", "multipart/form-data; boundary=x"),
		{Name: "a form from a browser, by nobody", Code: "MalformedPOSTRequest", make: func(w World) *message {
			return request(w, "POST", all).with("Content-Type", "multipart/form-data; boundary=x").carry("--x--\r\n")
		}},
	}, []Case{
		tenant("a list of everything", forbidden, "GET", all),
		tenant("a list of another prefix", forbidden, "GET", all+"?prefix=2025/"),
		tenant("a list of a shorter prefix", forbidden, "GET", all+"?prefix=2026"),
		tenant("a list of dots", forbidden, "GET", all+"?prefix=2026/../"),
		tenant("a list of two prefixes", invalid, "GET", all+"?prefix=2026/&prefix="),
		tenant("a list of two prefixes, the other way round", invalid, "GET", all+"?prefix=&prefix=2026/"),
		tenant("a list of two prefixes, one encoded", invalid, "GET", all+"?prefix=2026/&%70refix="),
		tenant("a list of two prefixes, one in another case", invalid, "GET", all+"?prefix=2026/&Prefix="),
		tenant("a list of a prefix in another case", invalid, "GET", all+"?PREFIX=2026/"),
		tenant("a list of a prefix behind a semicolon", forbidden, "GET", all+"?delimiter=/;prefix=2026/"),
		tenant("a list of versions", forbidden, "GET", all+"?versions"),
		tenant("a list of uploads", forbidden, "GET", all+"?uploads&prefix=2025/"),
		tenant("a list of uploads of a key", forbidden, "GET", object+"?uploads"),
		tenant("a list with an unknown parameter", forbidden, "GET", all+"?prefix=2026/&everything"),
		tenant("the bucket's policy", forbidden, "GET", all+"?policy"),
		tenant("the bucket's policy, as a list", forbidden, "GET", all+"?policy&prefix=2026/"),
		tenant("the bucket's policy, of a key", forbidden, "PUT", object+"?policy"),
		tenant("the bucket's life cycle", forbidden, "PUT", all+"?lifecycle"),
		tenant("the bucket's ACL", forbidden, "PUT", all+"?acl"),
		tenant("making the bucket", forbidden, "PUT", all),
		tenant("deleting the bucket", forbidden, "DELETE", all),
		tenant("a copy from outside", forbidden, "PUT", object, source, all+"/2025/a"),
		tenant("a copy from outside by dots", forbidden, "PUT", object, source, all+"/2026/../2025/a"),
		tenant("a copy to outside", forbidden, "PUT", all+"/2025/a", source, object),
	}...)
}

func deletes() []Case {
	del := func(name, code, body string) Case {
		return Case{Name: "deleting many: " + name, Code: code, Body: true, make: func(w World) *message {
			return request(w, "POST", "/"+Bucket+"?delete").carry(body).sign(w, Tenant, how{payload: sum(body)})
		}}
	}
	object := func(key string) string { return "<Object><Key>" + key + "</Key></Object>" }
	mine, other := object("2026/a"), object("2025/a")
	root := func(in string) string { return "<Delete>" + in + "</Delete>" }
	const xmlError = "MalformedXML"
	return []Case{
		by(Reader, "deleting many: by a reader", forbidden, "POST", "/"+Bucket+"?delete"),
		by(Tenant, "deleting many: with a key in the path", forbidden, "POST", "/"+Bucket+"/2026/a?delete"),
		by(Tenant, "deleting many: and a policy", forbidden, "POST", "/"+Bucket+"?delete&policy"),
		by(Tenant, "deleting many: in another case", invalid, "POST", "/"+Bucket+"?Delete"),
		del("outside", forbidden, root(other)),
		del("one outside among others", forbidden, root(mine+other+mine)),
		del("by dots", forbidden, root(object("2026/../2025/a"))),
		del("a blank before the key", forbidden, root(object(" 2026/a"))),
		del("entities", forbidden, root(object("&#50;025/a"))),
		del("a comment in a key", xmlError, root(object("2026/<!-- -->a"))),
		del("CDATA in a key", xmlError, root(object("<![CDATA[2025/a]]>"))),
		del("two keys in one object", xmlError, root("<Object><Key>2026/a</Key><Key>2025/a</Key></Object>")),
		del("a key within a key", xmlError, root("<Object><Key>2026/a<Key>2025/a</Key></Key></Object>")),
		del("a key outside of an object", xmlError, root(mine+"<Key>2025/a</Key>")),
		del("an object within an object", xmlError, root("<Object><Key>2026/a</Key>"+other+"</Object>")),
		del("two roots", xmlError, root(mine)+root(other)),
		del("another root", xmlError, "<Remove>"+mine+"</Remove>"),
		del("another namespace", xmlError, `<Delete xmlns:x="urn:x">`+mine+`<x:Object><x:Key>2025/a</x:Key></x:Object></Delete>`),
		del("an entity of its own", xmlError, `<!DOCTYPE Delete [<!ENTITY k "2025/a">]>`+root(object("&k;"))),
		del("another encoding", xmlError, `<?xml version="1.0" encoding="UTF-7"?>`+root(mine)),
		del("a processing instruction", xmlError, root(mine+"<?x y?>")),
		del("no keys", xmlError, root("")),
		del("no document", xmlError, "2026/a"),
		del("half a document", xmlError, "<Delete>"+mine),
		{Name: "deleting many: a document that is too long", Code: xmlError, Body: true, make: func(w World) *message {
			m := request(w, "POST", "/"+Bucket+"?delete").carry(root(mine)).sign(w, Tenant, how{})
			m.length = 2<<20 + 1
			return m
		}},
		changed("deleting many: another document than was signed", "XAmzContentSHA256Mismatch", func(w World) *message {
			return request(w, "POST", "/"+Bucket+"?delete").carry(root(mine)).sign(w, Tenant, how{payload: sum(root(mine))})
		}, func(_ World, m *message) { m.carry(root(object("2026/b"))) }).inBody(),
	}
}

func (c Case) inBody() Case {
	c.Body = true
	return c
}
