"""
Every capture of the real CLI holds what its raw JSON holds.

The table was written from the captures with plain ``json``, not with the parser under test.  Columns: capture, session,
models, tool calls (``!`` failed, ``?`` no result), tokens (input, output, cache read, cache write), USD, results, is_error
and terminal_reason of the last result, permission denials.
"""

from pathlib import Path

import pytest

from orchestrd.protocol.claude import ClaudeStream
from orchestrd.protocol.inspection import Inspection, Inspector
from orchestrd.protocol.messages import Malformed, Oversize, Unknown

CAPTURES = Path(__file__).parents[1] / "data" / "claude-streams"
EXPECTED = """
SIGHUP_tool | 93f86b6b-9f96-4f77-9508-f32406feb161 | claude-opus-5-5 | Bash! | 100 1 1000 50 | 0 | 0 | None | None | 0
SIGINT_stream | d3a2934a-19d7-45f9-bcd5-4e9ffc8824ac | claude-opus-5-5 | - | 0 0 0 0 | 0 | 1 | True | aborted_streaming | 0
SIGINT_tool | 8523da21-6029-4b9a-b84c-a2979cb7df2f | claude-opus-5-5 | - | 0 0 0 0 | 0 | 1 | True | aborted_streaming | 0
SIGKILL_tool | d7140f9c-5141-4b57-920b-07477c529e92 | claude-opus-5-5 | Bash? | 100 1 1000 50 | 0 | 0 | None | None | 0
SIGTERM_stream | 0fd27f58-c204-4dc8-8c53-9928e9833100 | claude-opus-5-5 | - | 0 0 0 0 | 0 | 0 | None | None | 0
ask | f8e773c7-747b-4fbd-bbac-f67eb9276fe5 | claude-opus-5-5 | AskUserQuestion! | 200 40 2000 100 | 0.0025 | 1 | False | completed | 0
autocompact | eb279cc6-82d5-4a5d-8ee0-516adb45a75d | claude-opus-5-5 | Bash Bash | 4010 4002 301000 4050 | 0.17653 | 1 | False | completed | 0
badmodel | 2b3146a2-f9c9-4bbe-9310-f11d93e15eda | claude-nope-9 | - | 10 100 2000 500 | 0.00494 | 1 | False | completed | 0
badsettings | 8b625ede-ae1c-4890-ac50-dca9f479f26d | claude-opus-5-5 | Bash Write | 300 60 3000 150 | 0.00375 | 1 | False | completed | 0
bare | 53c43408-e575-4265-9120-64505a54f0de | claude-opus-5-5 | Bash Write! | 300 60 3000 150 | 0.00375 | 1 | False | completed | 0
bgbash | 1dd47117-007c-4652-8ad6-5d945b5d6226 | claude-opus-5-5 | Bash | 300 60 3000 150 | 0.00375 | 2 | False | completed | 0
big | 55867ea5-de2a-4a5b-b300-a46a0a04b8bf | claude-opus-5-5 | Bash | 200 40 2000 100 | 0.0025 | 1 | False | completed | 0
bigtext | a5792276-a156-471f-998c-45b041b21f19 | claude-opus-5-5 | - | 100 20 1000 50 | 0.00125 | 1 | False | completed | 0
crash | c930125a-73c7-4e33-8b2e-583a0d4b0289 | claude-opus-5-5 | Bash? | 100 1 1000 50 | 0 | 0 | None | None | 0
ctl_ask | f116f199-89b8-4ced-8448-7f2b30211466 | claude-opus-5-5 | AskUserQuestion | 200 40 2000 100 | 0.0025 | 1 | False | completed | 0
ctl_ask_acceptEdits | 6c1a01e5-7f91-4079-b07e-d54fc76a2d5b | claude-opus-5-5 | AskUserQuestion | 200 40 2000 100 | 0.0025 | 1 | False | completed | 0
ctl_ask_bypassPermissions | 75de81f2-97b6-457f-b16c-01d97aa8c3e9 | claude-opus-5-5 | AskUserQuestion | 200 40 2000 100 | 0.0025 | 1 | False | completed | 0
ctl_ask_deny | 5704da70-9f8a-419e-890e-3e4cb762d417 | claude-opus-5-5 | AskUserQuestion! | 200 40 2000 100 | 0.0025 | 1 | False | completed | 1
ctl_ask_dontAsk | b7812d32-8e97-483e-9097-2648832c9937 | claude-opus-5-5 | AskUserQuestion! | 200 40 2000 100 | 0.0025 | 1 | False | completed | 1
ctl_ask_slow150 | 2c2e0e0d-4865-4a36-86fe-1bec8f201806 | claude-opus-5-5 | AskUserQuestion | 200 40 2000 100 | 0.0025 | 1 | False | completed | 0
ctl_bypass_perm | e50b0a5b-a998-42d0-b0ab-66b50be1440f | claude-opus-5-5 | Bash Write | 300 60 3000 150 | 0.00375 | 1 | False | completed | 0
ctl_cancel | 7fe5e214-e5b0-4dfa-a749-f762a3ef8282 | claude-opus-5-5 | Bash! | 100 20 1000 50 | 0.00125 | 1 | True | aborted_tools | 1
ctl_deny_interrupt | 2df906bc-e8c4-44f7-88fa-e8f9d368aaa4 | claude-opus-5-5 | Bash! | 100 20 1000 50 | 0.00125 | 1 | True | aborted_tools | 1
ctl_hooks_sdkmcp | 000b181f-bbf0-4479-b909-95d14933ed08 | claude-opus-5-5 | Bash! Write! mcp__op__ask_operator | 500 100 5000 250 | 0.00625 | 2 | False | completed | 2
ctl_interrupt | beefd536-38cf-4a9c-ae3a-50747f7bd5d0 | claude-opus-5-5 | Bash! | 110 120 3000 550 | 0.00619 | 2 | False | completed | 0
ctl_pending_close | 34d74dc7-e971-4dc3-b90f-8928b7d03d8f | claude-opus-5-5 | AskUserQuestion! | 100 20 1000 50 | 0.00125 | 1 | True | aborted_tools | 0
ctl_pending_sigterm | 773dd984-7ecc-40b0-85f9-80a63f9045dc | claude-opus-5-5 | AskUserQuestion? | 100 1 1000 50 | 0 | 0 | None | None | 0
ctl_perm | 5eb961cc-f881-43ec-98aa-7068bf44e9d9 | claude-opus-5-5 | Bash Write! | 300 60 3000 150 | 0.00375 | 1 | False | completed | 1
ctl_queries | 23fcc59c-3122-4657-85e2-a091233923db | claude-opus-5-5 claude-sonnet-5-5 | Bash Bash | 300 60 3000 150 | 0.0025 | 1 | False | completed | 0
ctl_resume_pending1 | 99999999-1111-4111-8111-000000021638 | claude-opus-5-5 | AskUserQuestion? | 100 1 1000 50 | 0 | 0 | None | None | 0
ctl_resume_pending2 | 99999999-1111-4111-8111-000000021638 | claude-opus-5-5 | - | 100 20 1000 50 | 0.00125 | 1 | False | completed | 0
ctl_sigint_streamin | 3520a7dd-fcde-4c5e-ba87-2d8e4ebd1b76 | claude-opus-5-5 | Bash! | 100 20 1000 50 | 0.00125 | 1 | True | aborted_tools | 0
ctl_stdin_close | 6b59d7d3-9576-4f67-adec-edee2e78f0e2 | claude-opus-5-5 | Bash Bash | 300 60 3000 150 | 0.00375 | 1 | False | completed | 0
ctl_steer | 01cc5508-0006-4eb6-bf6f-e3419f2cb97c | claude-opus-5-5 | Bash Bash | 300 60 3000 150 | 0.00375 | 1 | False | completed | 0
ctl_updated_permissions | 7ff0b3d1-b334-4a05-bcbf-f00fb4fd8d0b | claude-opus-5-5 | Bash Write Bash Write | 600 120 6000 300 | 0.0075 | 2 | False | completed | 0
ctl_usage_resume1 | 65221d0e-8305-4c46-9834-3e4491727cdc | claude-opus-5-5 | - | 10 100 2000 500 | 0.00494 | 1 | False | completed | 0
ctl_usage_resume2 | 65221d0e-8305-4c46-9834-3e4491727cdc | claude-opus-5-5 | - | 10 100 2000 500 | 0.00494 | 1 | False | completed | 0
cut | ea8a2e94-7dc9-421d-97e6-63f61319d480 | claude-opus-5-5 | - | 300 36 3000 150 | 0.00327 | 1 | False | completed | 0
defer1 | eeeeeeee-1111-4111-8111-000000012279 | claude-opus-5-5 | Bash? | 100 20 1000 50 | 0.00125 | 1 | False | tool_deferred | 0
defer2 | eeeeeeee-1111-4111-8111-000000012279 | claude-opus-5-5 | Write! | 200 40 2000 100 | 0.0025 | 1 | False | completed | 1
deny_rules | ea97fa8d-167d-47bf-9a4e-792100361b22 | claude-opus-5-5 | Bash! Bash! Bash! Bash! Bash! Bash! | 700 140 7000 350 | 0.00875 | 1 | False | completed | 5
e400 | 632d33a9-c4d3-48db-8930-04ce1f9c90de | claude-opus-5-5 | - | 0 0 0 0 | 0 | 1 | True | api_error | 0
e400credit | 52535686-36ca-41f3-8d7e-1e670f7e04ac | claude-opus-5-5 | - | 0 0 0 0 | 0 | 1 | True | api_error | 0
e401 | b7ace10c-ee42-4394-acfe-85984097bcfa | claude-opus-5-5 | - | 0 0 0 0 | 0 | 1 | True | api_error | 0
e403 | 7947c3b7-22f5-4f24-8552-7273a3af206b | claude-opus-5-5 | - | 0 0 0 0 | 0 | 1 | True | api_error | 0
e404model | 35206c67-09c1-4d6c-8f0b-705ec20c7f3c | claude-opus-5-5 | - | 0 0 0 0 | 0 | 1 | True | api_error | 0
e413long | 7ca56a43-8fd7-4bd8-b0d8-227b99fa20c1 | claude-opus-5-5 | - | 0 0 0 0 | 0 | 1 | True | prompt_too_long | 0
e429 | 824ea503-690a-4e14-8e37-41fc170afabb | claude-opus-5-5 | - | 100 20 1000 50 | 0.00125 | 1 | False | completed | 0
e429forever_mr2 | 7203079c-7296-4d4d-a1c5-63d6b0d88865 | claude-opus-5-5 | - | 0 0 0 0 | 0 | 1 | True | api_error | 0
e429long | 6081e740-ddb1-4802-ba66-bad37af00d7d | claude-opus-5-5 | - | 0 0 0 0 | 0 | 1 | True | api_error | 0
e429long_oauth | f2d47bf8-a2dd-46f1-a449-f9b7e4b5e70a | claude-sonnet-5-5 | - | 0 0 0 0 | 0 | 1 | True | api_error | 0
e500 | dbf870a0-1ff1-4fee-81dc-cc4f706ad783 | claude-opus-5-5 | - | 100 20 1000 50 | 0.00125 | 1 | False | completed | 0
e500forever_mr2 | edf03f94-8d6e-4b6c-a37c-e0879f34fc06 | claude-opus-5-5 | - | 0 0 0 0 | 0 | 1 | True | api_error | 0
e529 | 91f61e6d-50ce-47c9-a499-245f6e096499 | claude-opus-5-5 | - | 100 20 1000 50 | 0.00125 | 1 | False | completed | 0
e529forever_mr2 | 4a96cadd-8504-4c86-9ba2-9a5d3fc97d23 | claude-opus-5-5 | - | 0 0 0 0 | 0 | 1 | True | api_error | 0
fail | 4816e15f-a611-4bc3-8d60-ec0c04b16821 | claude-opus-5-5 | Bash! Read! NoSuchTool! Bash! | 500 100 5000 250 | 0.00625 | 1 | False | completed | 1
fallback | 1e849009-cc38-415c-b256-8860eae2bb06 | claude-opus-5-5 | - | 0 0 0 0 | 0 | 0 | None | None | 0
fifo_reattach | b14008f0-1d0a-49ce-aa9f-3baa38d7af5c | claude-opus-5-5 | Bash Write | 310 160 5000 650 | 0.00869 | 2 | False | completed | 0
hook_events | 87892e58-0eff-43d7-86fb-9a1c529ddb65 | claude-opus-5-5 | Write Bash Read Edit | 150 490 41800 10800 | 0.07276 | 1 | False | completed | 0
hook_missing | 646b4a82-0a51-41ff-a4a8-5f486356191d | claude-opus-5-5 | Bash Write | 300 60 3000 150 | 0.00375 | 1 | False | completed | 0
hook_missing_onfailure_block | 80bc0880-265e-4560-b352-9f66a1b4e042 | claude-opus-5-5 | Bash! Write! | 300 60 3000 150 | 0.00375 | 1 | False | completed | 2
hook_pre_allow | c06828a3-99f7-42d8-8bac-2a21013e6bd6 | claude-opus-5-5 | Bash Write! | 300 60 3000 150 | 0.00375 | 1 | False | completed | 1
hook_pre_allow_mod | e6450ca9-f46d-44f9-a59d-60888004997b | claude-opus-5-5 | Bash Write! | 300 60 3000 150 | 0.00375 | 1 | False | completed | 1
hook_pre_ask | 6d1a2914-7929-45c4-8901-af18cc1d8b2d | claude-opus-5-5 | Bash! Write! | 300 60 3000 150 | 0.00375 | 1 | False | completed | 2
hook_pre_cont | a0546cda-001e-43e1-b4bc-80d711209a16 | claude-opus-5-5 | Bash! Write! | 300 60 3000 150 | 0.00375 | 1 | False | completed | 2
hook_pre_deny | aa309084-d936-4257-a365-9654fc19e67e | claude-opus-5-5 | Bash! Write! | 300 60 3000 150 | 0.00375 | 1 | False | completed | 2
hook_pre_exit2 | 77f5c5ad-b3dc-4834-887e-0e62577dab28 | claude-opus-5-5 | Bash! Write! | 300 60 3000 150 | 0.00375 | 1 | False | completed | 2
hook_pre_fail | 00ce64fd-8327-4a3c-8121-c665e2e8cc15 | claude-opus-5-5 | Bash! Write! | 300 60 3000 150 | 0.00375 | 1 | False | completed | 2
hook_stop_block | 92464955-b766-4352-a64b-08c126d3ae28 | claude-opus-5-5 | - | 110 120 3000 550 | 0.00619 | 1 | False | completed | 0
hook_subagent_deny | ad26b171-fcaa-4008-b747-f818de268661 | claude-opus-5-5 | Agent Bash! | 135 320 2700 1930 | 0.01713 | 2 | False | completed | 1
jsonout | 067e97e0-48c5-4cba-b942-91413ce5a104 | claude-opus-5-5 | - | 150 490 41800 10800 | 0.07276 | 1 | False | completed | 0
maxtokens | 27fbea8e-e36b-4fb0-a638-721866e555be | claude-opus-5-5 | - | 200 40 2000 100 | 0.0025 | 1 | False | completed | 0
mcp_ask5 | b08b681a-7eb9-4974-bbae-d1961fff534e | claude-opus-5-5 | mcp__op__ask_operator | 200 40 2000 100 | 0.0025 | 1 | False | completed | 0
mcp_bad | e7fcf3c1-1f64-443a-9cac-be90af1f77db | claude-opus-5-5 | mcp__op__ask_operator! | 200 40 2000 100 | 0.0025 | 1 | False | completed | 0
mcp_idle | 84887161-66dc-45af-b6e0-f4a3e70153b7 | claude-opus-5-5 | mcp__op__ask_operator | 200 40 2000 100 | 0.0025 | 1 | False | completed | 0
mcp_idle_progress | 7c3dfc11-b491-4d58-99c8-2f2aed8dbd37 | claude-opus-5-5 | mcp__op__ask_operator | 200 40 2000 100 | 0.0025 | 1 | False | completed | 0
mcp_long | 1e0b2b78-3f1a-4859-aa31-1699a76937f1 | claude-opus-5-5 | mcp__op__ask_operator | 200 40 2000 100 | 0.0025 | 1 | False | completed | 0
mcp_perm | 134aa425-3323-4da9-ab8e-e1d269d1939b | claude-opus-5-5 | Bash Write! | 300 60 3000 150 | 0.00375 | 1 | False | completed | 1
mcp_timeout3 | d0f0335a-df58-458e-965e-bb2bd3b834d5 | claude-opus-5-5 | mcp__op__ask_operator! | 200 40 2000 100 | 0.0025 | 1 | False | completed | 0
mid500_mr2 | 09e71a6c-e691-430b-8cc2-93641631d1f9 | claude-opus-5-5 | Bash | 10 100 0 100 | 0.00254 | 1 | True | api_error | 0
multi_acceptEdits | 7c9b1ec1-6da3-4c38-80dd-ba1706361de9 | claude-opus-5-5 | Write Bash Read Edit | 150 490 41800 10800 | 0.07276 | 1 | False | completed | 0
multi_default | b8c6d510-e77c-482f-a85f-b9b80fea6264 | claude-opus-5-5 | Write! Bash Read! Edit! | 150 490 41800 10800 | 0.07276 | 1 | False | completed | 1
multi_dontAsk | 765dba1f-1026-4566-a31f-2d87c2a17fd2 | claude-opus-5-5 | Write! Bash Read Edit! | 150 490 41800 10800 | 0.07276 | 1 | False | completed | 1
multi_dontAsk_allow | 57509c84-1afc-4955-aa88-6d7d81317876 | claude-opus-5-5 | Write Bash Read Edit | 150 490 41800 10800 | 0.07276 | 1 | False | completed | 0
nokey | 346ae9bc-6300-47c0-8b49-71b241130665 | claude-opus-5-5 | - | 0 0 0 0 | 0 | 1 | True | api_error | 0
nopersist | 29cbe529-6a6a-4991-8f2b-ea775502954b | claude-opus-5-5 | - | 10 100 2000 500 | 0.00494 | 1 | False | completed | 0
noserver | f3df8468-9251-4ff5-b5ef-451ce38a2ef7 | claude-opus-5-5 | - | 0 0 0 0 | 0 | 1 | True | api_error | 0
outside | 96315b50-e120-4b4e-9236-86cd750e63fa | claude-opus-5-5 | Write! Bash Read! | 400 80 4000 200 | 0.005 | 1 | False | completed | 2
partial | 52b9ced9-1248-4471-8a73-4e619b24d2fe | claude-opus-5-5 | Write Bash Read Edit | 150 490 41800 10800 | 0.07276 | 1 | False | completed | 0
perm | e7562bbc-0182-459c-bff5-9751958d56bd | claude-opus-5-5 | Bash Write | 300 60 3000 150 | 0.00375 | 1 | False | completed | 0
ratelimit | 467db2e1-395b-4944-acf4-e593c7924caf | claude-opus-5-5 | - | 100 20 1000 50 | 0.00125 | 1 | False | completed | 0
refusal | c97fd275-07dd-42b9-8176-95bb8d6a159b | claude-opus-5-5 | - | 200 40 2000 100 | 0.0025 | 1 | False | completed | 0
restricted | b1470ce9-9b31-476e-a394-5974f42fd4b9 | claude-opus-5-5 | Bash! Write | 300 60 3000 150 | 0.00375 | 1 | False | completed | 0
resume1 | aaaaaaaa-1111-4111-8111-000000012279 | claude-opus-5-5 | Write Bash Read Edit | 150 490 41800 10800 | 0.07276 | 1 | False | completed | 0
resume_budget | aaaaaaaa-1111-4111-8111-000000012279 | claude-opus-5-5 | Bash Bash? | 2000 2000 20000 2000 | 0.062 | 1 | True | budget_exhausted | 0
resume_fork | 1251a982-4ef2-4c17-99e8-9ea18f30bd95 | claude-opus-5-5 | - | 10 100 2000 500 | 0.00494 | 1 | False | completed | 0
resume_missing | cccccccc-1111-4111-8111-aaaaaaaaaaaa |  | - | 0 0 0 0 | 0 | 1 | True | None | 0
safemode | 5d58e66f-3154-4123-a6aa-bad7c2662f1f | claude-opus-5-5 | Bash Write | 300 60 3000 150 | 0.00375 | 1 | False | completed | 0
sandbox | 6cbca72b-674e-4596-8dea-db9a164929e8 | claude-opus-5-5 | Write! Bash Read! | 400 80 4000 200 | 0.005 | 1 | False | completed | 2
sandbox_fail | 83fe5dd2-da42-4fec-8335-64656a0b6394 |  | - | 0 0 0 0 | 0 | 1 | True | None | 0
schema | fc3aec43-e237-4edb-8f5c-eefe25793ce7 | claude-opus-5-5 | StructuredOutput | 100 20 1000 50 | 0.00125 | 1 | False | completed | 0
schemanever | 4bed4d53-ec57-4446-8e69-4a5b09f7db60 | claude-opus-5-5 | - | 200 40 2000 100 | 0.0025 | 1 | False | completed | 0
sid1 | aaaaaaaa-1111-4111-8111-000000012279 | claude-opus-5-5 | - | 10 100 2000 500 | 0.00494 | 1 | False | completed | 0
simple | 20f6c37a-3ec4-4fd7-95b7-ce54ff2272a5 | claude-opus-5-5 | - | 10 100 2000 500 | 0.00494 | 1 | False | completed | 0
src_default | 3d6930dc-7157-4903-9488-bb087c65a55c | claude-opus-5-5 | Bash! Write! | 300 60 3000 150 | 0.00375 | 1 | False | completed | 1
src_empty | 4fb9dc2f-5ddb-47b9-a221-16b26c315b8a | claude-opus-5-5 | Bash Write! | 300 60 3000 150 | 0.00375 | 1 | False | completed | 0
streamerr | a7400a15-12b2-41a1-90ee-32845b3c39b9 | claude-opus-5-5 | - | 100 20 1000 50 | 0.00125 | 1 | False | completed | 0
subagent | 1601ee73-a0ab-4adc-bfee-a7527604285f | claude-opus-5-5 | Agent Bash | 135 320 2700 1930 | 0.01713 | 2 | False | completed | 0
subagent_fg | 14662de8-d558-4d6b-ab73-4b2c894bd154 | claude-opus-5-5 | Agent Bash | 35 300 1700 1880 | 0.01588 | 1 | False | completed | 0
thinking | 3db215ba-6f9f-4e3d-963c-b444d0902767 | claude-opus-5-5 | - | 10 300 0 0 | 0.00604 | 1 | False | completed | 0
todo | b1fddb97-62ac-4ba2-831a-871eadc74ff6 | claude-opus-5-5 | TodoWrite! TaskCreate! TaskUpdate! TaskUpdate! | 500 100 5000 250 | 0.00625 | 1 | False | completed | 0
todo_enabled | 5392205b-c239-467a-ba16-9e17a4ceeec5 | claude-opus-5-5 | TodoWrite! TaskCreate TaskUpdate TaskUpdate | 500 100 5000 250 | 0.00625 | 1 | False | completed | 0
tp | a15f982a-8e41-42c8-959b-2f685b1c6748 | claude-opus-5-5 | Read Bash! Bash | 200 40 2000 100 | 0.0025 | 1 | False | completed | 0
v197_ask | 862bd056-ab54-47c7-a97a-b5f53ca1efe4 | claude-opus-4-8 | AskUserQuestion! | 200 40 2000 100 | 0.003625 | 1 | False | completed | 0
v197_bgbash | 6288d0fc-7323-4865-a8b5-a9931c8343cf | claude-opus-4-8 | Bash | 300 60 3000 150 | 0.0054375 | 2 | False | completed | 0
v197_e529 | 0e151100-3a5b-4630-acf1-f9b69a656dd7 | claude-opus-4-8 | - | 100 20 1000 50 | 0.0018125 | 1 | False | completed | 0
v197_multi | 330f8812-7bb8-4f5b-8f9e-4c17995afb15 | claude-opus-4-8 | Write! Bash Read Edit! | 150 490 41800 10800 | 0.1014 | 1 | False | completed | 0
v197_resume | 19719719-1111-4111-8111-000000021774 | claude-opus-4-8 | - | 10 100 2000 500 | 0.006675 | 1 | False | completed | 0
v197_sid1 | 19719719-1111-4111-8111-000000021774 | claude-opus-4-8 | Write! Bash Read Edit! | 150 490 41800 10800 | 0.1014 | 1 | False | completed | 0
v197_todo | 88e2e48b-5606-4bff-8ac0-059e81b47c9b | claude-opus-4-8 | TodoWrite! TaskCreate TaskUpdate TaskUpdate | 500 100 5000 250 | 0.0090625 | 1 | False | completed | 0
"""
ROWS = [tuple(cell.strip() for cell in row.split("|")) for row in EXPECTED.strip().splitlines()]
EMPTY = {"multi_bypass_root", "sid_bad", "sid_dup", "ctl_badline"}


def inspect(name: str) -> Inspection:
    inspector = Inspector(name)
    inspector.feed((CAPTURES / f"{name}.jsonl").read_bytes())
    return inspector.finish()


def shown(name: str, seen: Inspection) -> tuple[str, ...]:
    mark = {True: "!", False: "", None: "?"}
    tokens = seen.tokens
    return (
        name,
        seen.session or "",
        " ".join(seen.models),
        " ".join(call.name + mark[call.is_error] for call in seen.tool_calls) or "-",
        f"{tokens.input} {tokens.output} {tokens.cache_read} {tokens.cache_write}",
        f"{seen.cost_usd:g}",
        str(seen.results),
        str(seen.is_error),
        str(seen.terminal_reason),
        str(len(seen.permission_denials)),
    )


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_capture(row: tuple[str, ...]) -> None:
    seen = inspect(row[0])

    assert row == shown(row[0], seen)
    assert (seen.malformed, seen.unknown, seen.torn_tail) == (0, 0, 0)


def test_every_capture_is_in_the_table() -> None:
    files = {path.stem for path in CAPTURES.glob("*.jsonl") if not path.stem.endswith(".wire")}

    assert files == {row[0] for row in ROWS}
    assert len(files) >= 100


@pytest.mark.parametrize("name", [row[0] for row in ROWS])
def test_no_line_of_a_capture_is_lost(name: str) -> None:
    data = (CAPTURES / f"{name}.jsonl").read_bytes()
    stream = ClaudeStream()
    messages = stream.feed(data) + stream.finish()

    assert data.count(b"\n") == stream.events
    assert len(data) == stream.consumed
    assert [message for message in messages if isinstance(message, Malformed | Oversize | Unknown)] == []


def test_a_launch_error_has_no_stream() -> None:
    """
    Exit 1, nothing on stdout, the reason on stderr.
    """
    for name in EMPTY:
        assert (CAPTURES / f"{name}.meta").exists()
        assert not (CAPTURES / f"{name}.jsonl").exists()
