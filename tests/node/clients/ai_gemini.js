import { createGoogleGenerativeAI } from '@ai-sdk/google';

import { KEY, THINKING_BUDGET, URL } from '../common.js';
import { client } from './ai.js';

const provider = createGoogleGenerativeAI({ apiKey: KEY, baseURL: `${URL}/v1beta` });

export default client({
  language: (model) => provider(model),
  thinking: { google: { thinkingConfig: { includeThoughts: true, thinkingBudget: THINKING_BUDGET } } },
  overflow: 'exceeds the maximum number of tokens',
});
