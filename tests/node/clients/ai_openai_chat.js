import { createOpenAI } from '@ai-sdk/openai';

import { KEY, URL } from '../common.js';
import { client } from './ai.js';

const provider = createOpenAI({ apiKey: KEY, baseURL: `${URL}/v1` });

export default client({
  language: (model) => provider.chat(model),
  thinking: { openai: { reasoningEffort: 'low', forceReasoning: true } },
  overflow: 'context_length_exceeded',
  unsupported: { reasoning: 'the SDK reads no reasoning here', signed: 'the protocol has no place for reasoning' },
});
