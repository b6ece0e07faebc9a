// What a program with OpenAI's own JavaScript SDK does, unmodified. Prints what it got as one JSON object.
// Usage: node client.mjs <base URL> <API key> <model>; run in web/, where the SDK is installed.
import { createRequire } from "node:module";

const require = createRequire(`${process.cwd()}/`);
const { OpenAI, AuthenticationError, NotFoundError, BadRequestError } = require("openai");

const [baseURL, apiKey, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const ask = (content, more = {}) => ({ model, messages: [{ role: "user", content }], ...more });
const told = {};

told.models = (await client.models.list()).data.map((each) => each.id);
told.model = (await client.models.retrieve(model)).id;

const whole = await client.chat.completions.create(ask("How is the whole weather?"));
told.whole = { text: whole.choices[0].message.content, usage: whole.usage.total_tokens };

const stream = await client.chat.completions.create(
  ask("How is the streamed weather?", { stream: true, stream_options: { include_usage: true } }),
);
told.streamed = { text: "", usage: null, finish: null };
for await (const chunk of stream) {
  told.streamed.text += chunk.choices[0]?.delta?.content ?? "";
  told.streamed.finish = chunk.choices[0]?.finish_reason ?? told.streamed.finish;
  told.streamed.usage = chunk.usage?.total_tokens ?? told.streamed.usage;
}

const called = [];
const runner = client.chat.completions.runTools(
  ask(process.env.QUESTION_WITH_TOOL, {
    tools: [
      {
        type: "function",
        function: {
          name: "weather",
          parameters: { type: "object", properties: { city: { type: "string" } } },
          parse: JSON.parse,
          function: ({ city }) => {
            called.push(city);
            return `Sunny in ${city}`;
          },
        },
      },
    ],
  }),
);
told.tools = { called, text: await runner.finalContent() };

const helper = client.chat.completions.stream(ask("How is the weather for a helper?"));
told.helper = await helper.finalContent();

const parlour = await client.chat.completions.create({
  model: "default",
  messages: [{ role: "user", content: "How is the weather for an assistant?" }],
});
told.assistant = { text: parlour.choices[0].message.content, session: parlour.parlour.session_id };

if (process.env.EMBEDDING_MODEL) {
  const embedded = await client.embeddings.create({ model: process.env.EMBEDDING_MODEL, input: ["a", "b"] });
  told.embeddings = embedded.data.map((each) => each.embedding.length);
}

const failing = async (work) => {
  try {
    await work();
  } catch (error) {
    const kinds = { AuthenticationError, NotFoundError, BadRequestError };
    const kind = Object.keys(kinds).find((name) => error instanceof kinds[name]);
    return { kind: kind ?? error.constructor.name, status: error.status, code: error.code, param: error.param };
  }
};
const stranger = new OpenAI({ baseURL, apiKey: "sk-nobody", maxRetries: 0 });
told.errors = [
  await failing(() => stranger.models.list()),
  await failing(() => client.chat.completions.create({ ...ask("x"), model: "nothing" })),
  await failing(() => client.chat.completions.create(ask("x", { n: 2 }))),
];

process.stdout.write(JSON.stringify(told));
