// The AWS SDK for Bedrock's Converse.

import {
  BedrockRuntimeClient,
  BedrockRuntimeServiceException,
  ConverseCommand,
  ConverseStreamCommand,
} from '@aws-sdk/client-bedrock-runtime';

import { LIMIT, THINKING_BUDGET, TIMEOUT, URL, finish, json } from '../common.js';

const FINISH = {
  end_turn: 'stop',
  stop_sequence: 'sequence',
  max_tokens: 'length',
  tool_use: 'calls',
  content_filtered: 'refusal',
  guardrail_intervened: 'refusal',
};

const client = new BedrockRuntimeClient({
  endpoint: URL,
  region: 'us-east-1',
  credentials: { accessKeyId: 'AKIATEST', secretAccessKey: 'secret' },
  maxAttempts: 1,
  requestHandler: { requestTimeout: TIMEOUT },
});

export default {
  unsupported: { loop: 'the SDK has no loop of its own' },
  // That a stream breaks off is an error of the runtime, which the SDK hands on.
  raised: [BedrockRuntimeServiceException, Error],
  kinds: Object.fromEntries(
    [400, 401, 403, 404, 429, 500, 503].map((status) => [status, BedrockRuntimeServiceException]),
  ),
  names: {
    400: ['ValidationException'],
    401: ['UnrecognizedClientException'],
    403: ['AccessDeniedException', 'UnrecognizedClientException'],
    404: ['ResourceNotFoundException'],
    429: ['ThrottlingException'],
    500: ['InternalServerException'],
    503: ['ServiceUnavailableException'],
  },
  overflow: (error) => error.message.includes('too long'),
  status: (error) => error.$metadata?.httpStatusCode,

  user: (text) => [{ role: 'user', content: [{ text }] }],

  results: (said) => [
    { role: 'user', content: said.map(([call, text]) => ({ toolResult: { toolUseId: call.id, content: [{ text }] } })) },
  ],

  async ask({ model, turns, tools, schema, thinking, stream }) {
    const request = { modelId: model, messages: turns, inferenceConfig: { maxTokens: LIMIT } };
    if (tools) {
      request.toolConfig = {
        tools: tools.map(({ name, description, schema: input }) => ({
          toolSpec: { name, description, inputSchema: { json: input } },
        })),
      };
    }
    if (schema) {
      const jsonSchema = { name: 'answer', schema: JSON.stringify(schema) };
      request.outputConfig = { textFormat: { type: 'json_schema', structure: { jsonSchema } } };
    }
    if (thinking) {
      request.additionalModelRequestFields = { thinking: { type: 'enabled', budget_tokens: THINKING_BUDGET } };
    }
    if (!stream) {
      const answer = await client.send(new ConverseCommand(request));
      return read(answer.output.message.content, answer.stopReason, answer.usage);
    }
    const { stream: events } = await client.send(new ConverseStreamCommand(request));
    return gather(events);
  },
};

/** Puts the blocks of a stream together; the SDK has no helper for it. */
async function gather(events) {
  const blocks = [];
  const pieces = { text: [], input: [] };
  let reason;
  let usage;
  for await (const event of events) {
    if (event.contentBlockStart) {
      const { contentBlockIndex: at, start } = event.contentBlockStart;
      if (start.toolUse) blocks[at] = { toolUse: { ...start.toolUse, input: '' } };
    } else if (event.contentBlockDelta) {
      const { contentBlockIndex: at, delta } = event.contentBlockDelta;
      blocks[at] ??= {};
      if (delta.text !== undefined) {
        pieces.text.push(delta.text);
        blocks[at].text = (blocks[at].text ?? '') + delta.text;
      } else if (delta.toolUse) {
        pieces.input.push(delta.toolUse.input);
        blocks[at].toolUse.input += delta.toolUse.input;
      } else if (delta.reasoningContent) {
        think(blocks[at], delta.reasoningContent);
      }
    } else if (event.messageStop) {
      reason = event.messageStop.stopReason;
    } else if (event.metadata) {
      usage = event.metadata.usage;
    }
  }
  for (const { toolUse } of blocks.filter((block) => block?.toolUse)) toolUse.input = json(toolUse.input);
  return { ...read(blocks.filter(Boolean), reason, usage), pieces };
}

function think(block, delta) {
  if (delta.redactedContent) {
    const before = block.reasoningContent?.redactedContent ?? new Uint8Array();
    block.reasoningContent = { redactedContent: Buffer.concat([before, delta.redactedContent]) };
    return;
  }
  block.reasoningContent ??= { reasoningText: { text: '' } };
  const said = block.reasoningContent.reasoningText;
  for (const name of ['text', 'signature']) {
    if (delta[name] !== undefined) said[name] = (said[name] ?? '') + delta[name];
  }
}

function read(blocks, reason, usage) {
  const why = finish(FINISH, reason);
  const read = usage.cacheReadInputTokens ?? 0;
  const written = usage.cacheWriteInputTokens ?? 0;
  return {
    text: blocks.map((block) => block.text ?? '').join(''),
    reasoning: blocks.map((block) => block.reasoningContent?.reasoningText?.text ?? '').join(''),
    calls: blocks
      .filter((block) => block.toolUse)
      .map(({ toolUse: { toolUseId: id, name, input } }) => ({ id, name, input })),
    finish: why,
    usage: { prompt: usage.inputTokens + read + written, output: usage.outputTokens },
    turn: [{ role: 'assistant', content: blocks }],
  };
}
