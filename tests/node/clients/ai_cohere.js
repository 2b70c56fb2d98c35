import { createCohere } from '@ai-sdk/cohere';

import { KEY, THINKING_BUDGET, URL } from '../common.js';
import { client } from './ai.js';

const provider = createCohere({ apiKey: KEY, baseURL: `${URL}/v2` });

export default client({
  language: (model) => provider(model),
  thinking: { cohere: { thinking: { type: 'enabled', tokenBudget: THINKING_BUDGET } } },
  overflow: 'too many tokens',
});
