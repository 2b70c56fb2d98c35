import { createOpenAI } from '@ai-sdk/openai';

import { KEY, URL } from '../common.js';
import { client } from './ai.js';

const provider = createOpenAI({ apiKey: KEY, baseURL: `${URL}/v1` });

// Without this the SDK refers to items that it takes to be stored.
const NOT_STORED = { store: false };

export default client({
  language: (model) => provider.responses(model),
  options: { openai: NOT_STORED },
  thinking: {
    openai: {
      ...NOT_STORED,
      forceReasoning: true,
      include: ['reasoning.encrypted_content'],
      reasoningEffort: 'low',
      reasoningSummary: 'auto',
    },
  },
  overflow: 'context_length_exceeded',
});
