// The Google Gen AI SDK.

import { ApiError, GoogleGenAI } from '@google/genai';

import { KEY, LIMIT, THINKING_BUDGET, TIMEOUT, URL, finish } from '../common.js';

const FINISH = { STOP: 'stop', MAX_TOKENS: 'length', SAFETY: 'refusal', PROHIBITED_CONTENT: 'refusal' };

const client = new GoogleGenAI({
  apiKey: KEY,
  httpOptions: { baseUrl: URL, timeout: TIMEOUT, retryOptions: { attempts: 1 } },
});

export default {
  unsupported: {},
  // The SDK says in plain errors that a stream breaks off.
  raised: [ApiError, Error],
  kinds: Object.fromEntries([400, 401, 403, 404, 429, 500, 503].map((status) => [status, ApiError])),
  overflow: (error) => error.message.includes('exceeds the maximum number of tokens'),
  status: (error) => error.status,

  user: (text) => [{ role: 'user', parts: [{ text }] }],

  results: (said) => [
    {
      role: 'user',
      parts: said.map(([{ id, name }, output]) => ({ functionResponse: { ...(id && { id }), name, response: { output } } })),
    },
  ],

  async ask({ model, turns, tools, schema, thinking, stream }) {
    const config = { maxOutputTokens: LIMIT };
    if (tools) {
      config.tools = [
        {
          functionDeclarations: tools.map(({ name, description, schema: parametersJsonSchema }) => ({
            name,
            description,
            parametersJsonSchema,
          })),
        },
      ];
    }
    if (schema) Object.assign(config, { responseMimeType: 'application/json', responseJsonSchema: schema });
    if (thinking) config.thinkingConfig = { includeThoughts: true, thinkingBudget: THINKING_BUDGET };
    const request = { model, contents: turns, config };
    if (!stream) return read([await client.models.generateContent(request)]);
    const chunks = [];
    for await (const chunk of await client.models.generateContentStream(request)) chunks.push(chunk);
    const text = parts(chunks).filter((part) => part.text && !part.thought).map((part) => part.text);
    return { ...read(chunks), pieces: { text, input: null } };
  },

  /** The loop that the SDK itself runs. */
  async loop({ model, text, tools, stream }) {
    const callable = {
      tool: async () => ({
        functionDeclarations: tools.map(({ name, description, schema: parametersJsonSchema }) => ({
          name,
          description,
          parametersJsonSchema,
        })),
      }),
      callTool: (calls) =>
        Promise.all(
          calls.map(async ({ id, name, args }) => {
            const output = await tools.find((tool) => tool.name === name).run(args);
            return { functionResponse: { id, name, response: { output } } };
          }),
        ),
    };
    const chat = client.chats.create({ model, config: { tools: [callable] } });
    if (!stream) return (await chat.sendMessage({ message: text })).text;
    let said = '';
    for await (const chunk of await chat.sendMessageStream({ message: text })) {
      said += words(parts([chunk]), false);
    }
    return said;
  },
};

function parts(chunks) {
  return chunks.flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? []);
}

function words(all, thought) {
  return all.filter((part) => part.text && Boolean(part.thought) === thought).map((part) => part.text).join('');
}

/** Puts an answer together from its chunks; the SDK has no helper for it. */
function read(chunks) {
  const all = parts(chunks);
  const calls = all.filter((part) => part.functionCall).map(({ functionCall: call }) => ({
    id: call.id,
    name: call.name,
    input: call.args ?? {},
  }));
  const why = finish(FINISH, chunks.map((chunk) => chunk.candidates?.[0]?.finishReason).findLast(Boolean));
  const usage = chunks.map((chunk) => chunk.usageMetadata).findLast(Boolean);
  return {
    text: words(all, false),
    reasoning: words(all, true),
    calls,
    finish: why === 'stop' && calls.length ? 'calls' : why,
    usage: {
      prompt: usage.promptTokenCount,
      output: (usage.candidatesTokenCount ?? 0) + (usage.thoughtsTokenCount ?? 0),
    },
    turn: [{ role: 'model', parts: all }],
  };
}
