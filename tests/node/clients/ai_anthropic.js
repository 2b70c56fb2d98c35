import { createAnthropic } from '@ai-sdk/anthropic';

import { KEY, THINKING_BUDGET, URL } from '../common.js';
import { client } from './ai.js';

const provider = createAnthropic({ apiKey: KEY, baseURL: `${URL}/v1` });

export default client({
  language: (model) => provider(model),
  thinking: { anthropic: { thinking: { type: 'enabled', budgetTokens: THINKING_BUDGET } } },
  overflow: 'prompt is too long',
});
