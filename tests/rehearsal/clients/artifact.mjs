// GitHub's client of artifacts, as in a job: the name of a function, and its arguments as JSON; prints what it returns.
import { DefaultArtifactClient } from "@actions/artifact";

const [name, words] = process.argv.slice(2);
const write = process.stdout.write.bind(process.stdout);
process.stdout.write = (...parts) => process.stderr.write(...parts); // the client's own words
try {
  write(JSON.stringify(await new DefaultArtifactClient()[name](...JSON.parse(words))));
} catch (error) {
  write(JSON.stringify({ error: error.message }));
}
