// The OpenAI SDK, responses.

import { LIMIT, Broken, json, ok } from '../common.js';
import { client, errors } from './openai_chat.js';

export default {
  ...errors,
  unsupported: { loop: 'the SDK has no loop of its own for this protocol' },

  user: (text) => [{ role: 'user', content: text }],

  results: (said) => said.map(([call, output]) => ({ type: 'function_call_output', call_id: call.id, output })),

  async ask({ model, turns, tools, schema, thinking, stream }) {
    const request = { model, input: turns, max_output_tokens: LIMIT, store: false };
    if (tools) {
      request.tools = tools.map(({ name, description, schema: parameters }) => ({
        type: 'function',
        name,
        description,
        parameters,
        strict: true,
      }));
    }
    if (schema) request.text = { format: { type: 'json_schema', name: 'answer', strict: true, schema } };
    if (thinking) {
      request.reasoning = { effort: 'low', summary: 'auto' };
      request.include = ['reasoning.encrypted_content'];
    }
    if (!stream) return read(await client.responses.create(request));
    const pieces = { text: [], input: [] };
    const running = client.responses.stream(request);
    running.on('response.output_text.delta', (event) => pieces.text.push(event.delta));
    running.on('response.function_call_arguments.delta', (event) => pieces.input.push(event.delta));
    return { ...read(await running.finalResponse()), pieces };
  },
};

function read(answer) {
  if (answer.status === 'failed') throw new Broken(answer.error.message);
  ok(['completed', 'incomplete'].includes(answer.status), `status ${answer.status}`);
  const of = (type) => answer.output.filter((item) => item.type === type);
  const calls = of('function_call').map(({ call_id: id, name, arguments: input }) => ({ id, name, input: json(input) }));
  const cut = { max_output_tokens: 'length', content_filter: 'refusal' };
  return {
    text: answer.output_text,
    reasoning: of('reasoning').flatMap((item) => item.summary.map((part) => part.text)).join(''),
    calls,
    finish: answer.status === 'incomplete' ? cut[answer.incomplete_details.reason] : calls.length ? 'calls' : 'stop',
    usage: { prompt: answer.usage.input_tokens, output: answer.usage.output_tokens },
    turn: answer.output.map(plain),
  };
}

/** An item without what the SDK's helper has read out of it: the provider refuses to be told that. */
function plain({ parsed_arguments, ...item }) {
  if (item.type === 'message') item.content = item.content.map(({ parsed, ...part }) => part);
  return item;
}
