// Stores and fetches what the plan says, with the SDK for JavaScript. It writes a line of JSON for each step.
import { createReadStream, readFileSync } from "node:fs";
import { Readable } from "node:stream";
import { S3Client, PutObjectCommand, GetObjectCommand, GetObjectAttributesCommand } from "@aws-sdk/client-s3";
import { createPresignedPost } from "@aws-sdk/s3-presigned-post";
import { Upload } from "@aws-sdk/lib-storage";

const plan = JSON.parse(readFileSync(process.argv[2]));
const say = (o) => process.stdout.write(JSON.stringify(o) + "\n");
const manifest = (name) => JSON.parse(readFileSync(`node_modules/@aws-sdk/${name}/package.json`)).version;
say({ version: `@aws-sdk/client-s3 ${manifest("client-s3")}, lib-storage ${manifest("lib-storage")}, node ${process.version}` });

const client = new S3Client({
  endpoint: plan.endpoint, region: "us-east-1", forcePathStyle: true,
  credentials: { accessKeyId: plan.key, secretAccessKey: plan.secret },
});

// A stream that does not say how long it is, and comes in odd pieces.
async function* pieces(path) {
  for await (const chunk of createReadStream(path, { highWaterMark: 70001 })) yield chunk;
}

async function store(step, bytes) {
  const params = { Bucket: plan.bucket, Key: step.name, Metadata: { step: "a b" } };
  if (step.algorithm) params.ChecksumAlgorithm = step.algorithm;
  switch (step.how) {
    case "put":
      return client.send(new PutObjectCommand({ ...params, Body: bytes }));
    case "stream":
      return client.send(new PutObjectCommand({ ...params, Body: createReadStream(step.file), ContentLength: bytes.length }));
    case "upload":
      return new Upload({ client, params: { ...params, Body: Readable.from(pieces(step.file)) } }).done();
    case "form": {
      const form = await createPresignedPost(client, {
        Bucket: plan.bucket, Key: step.name, Fields: { "x-amz-meta-step": "a b" },
        Conditions: [["content-length-range", bytes.length, bytes.length]],
      });
      const data = new FormData();
      for (const [name, value] of Object.entries(form.fields)) data.append(name, value);
      data.append("file", new Blob([bytes]), "file");
      const answer = await fetch(form.url, { method: "POST", body: data });
      if (answer.status !== 204) throw new Error(`${answer.status} ${await answer.text()}`);
      return {};
    }
  }
  throw new Error("no such step: " + step.how);
}

for (const step of plan.steps) {
  if (step.algorithm === "MD5" && step.how !== "put") {
    say({ name: step.name, lacks: "it is Content-MD5, which the SDK has for whole bodies alone, and does not name when it completes an upload" });
    continue;
  }
  try {
    const bytes = readFileSync(step.file);
    const put = await store(step, bytes);
    const got = await client.send(new GetObjectCommand({ Bucket: plan.bucket, Key: step.name, ChecksumMode: "ENABLED" }));
    const back = Buffer.from(await got.Body.transformToByteArray());
    if (Buffer.compare(back, bytes) !== 0) throw new Error(`${back.length} bytes came back that are not the ${bytes.length} sent`);
    if (got.Metadata.step !== "a b") throw new Error("metadata " + JSON.stringify(got.Metadata));
    const attributes = await client.send(new GetObjectAttributesCommand({
      Bucket: plan.bucket, Key: step.name, ObjectAttributes: ["ETag", "Checksum", "ObjectParts", "ObjectSize"],
    }));
    if (attributes.ObjectSize !== bytes.length) throw new Error("attributes " + JSON.stringify(attributes));
    const { ChecksumType, ...sums } = attributes.Checksum ?? {};
    say({ name: step.name, checksum: Object.entries(sums).map(([k, v]) => k.slice(8) + "=" + v).join(), kind: ChecksumType ?? "", etag: attributes.ETag });
  } catch (e) {
    if (/^The checksum algorithm "\w+" is not supported by the client\./.test(e.message)) say({ name: step.name, lacks: e.message.split(".")[0] });
    else say({ name: step.name, error: `${e.name}: ${e.message}` });
  }
}
