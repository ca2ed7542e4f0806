// A double of CML 0.20.6 for rehearsals: `comment update` alone, with the requests of the original as they were recorded
// in tests/rehearsal/cml.json. Where the original calls https://HOST/api/v3, this one calls GITHUB_API_URL.
const fs = require('fs');

async function main(words) {
  const option = (name) => (words.find((word) => word.startsWith(`--${name}=`)) || '').slice(name.length + 3);
  const [noun, verb] = words;
  if (noun !== 'comment' || verb !== 'update' || option('publish') !== 'false') {
    throw new Error('the double knows only `comment update --publish=false`');
  }
  const number = option('target').replace('pr/', '');
  const title = `CML watermark ${option('watermark-title')}`;
  const text = fs.readFileSync(words[words.length - 1], 'utf-8');
  const body = `${text}\n\n![](https://cml.dev/watermark.png#${process.env.GITHUB_SHA} "${title}")`;

  const repository = `/repos/${new URL(option('repo')).pathname.slice(1)}`;
  const call = async (method, path, data) => {
    const headers = { accept: 'application/vnd.github.v3+json', authorization: `token ${process.env.REPO_TOKEN}` };
    if (data) headers['content-type'] = 'application/json; charset=utf-8';
    const answer = await fetch(`${process.env.GITHUB_API_URL}${path}`, { method, headers, body: data && JSON.stringify(data) });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status}`);
    return answer.json();
  };
  const known = new RegExp(`!\\[\\]\\(https://cml\\.dev/watermark\\.png#[0-9a-fA-F]+ "${title}"\\)`);
  await call('GET', `/users/${process.env.GITHUB_ACTOR}`).catch(() => null); // who it is, whom it would tell of
  const comments = await call('GET', `${repository}/issues/${number}/comments`); // the first page alone, as the original
  const mine = comments.reverse().find((comment) => known.test(comment.body));
  const done = mine
    ? await call('PATCH', `${repository}/issues/comments/${mine.id}`, { body })
    : await call('POST', `${repository}/issues/${number}/comments`, { body });
  console.log(done.html_url);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exit(1);
});
