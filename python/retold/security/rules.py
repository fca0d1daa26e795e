"""How orders to an agent read that no tool has to give: the rules that the core's guard looks for, in every disguise.

A rule is a name, the words that an order begins with, and how it goes on, on folded text (lower case, one blank, look-alikes
as Latin letters). Rules are narrow: each names what is done *and* what it is done to, for a page of documentation is full of
plain imperatives. What they miss, paraphrase above all, is for the rules of where a line may stand (`retold.policy.guarding`).
"""

from typing import Final

Rule = tuple[str, list[str], str]

_GAP = r"\W+(?:\w+\W+){0,5}?"
_FORMER = "previous|prior|above|earlier|preceding|original|initial|system|foregoing|your|safety|all|any|every|other"
_INSTRUCTIONS = (
    "instructions?|rules?|prompts?|directions|directives?|guidelines?|constraints?|polic(?:y|ies)|restrictions?|orders|"
    "commands?|messages?|safeguards|guardrails|tasks?|goals?"
)
_DO = (
    "ignore|forget|disregard|you|the assistant|assistant|agent|model|ai|always|never|do not|don't|must|print|send|execute|run|delete|"
    "transfer|include|write|from now on|reveal|repeat|output|email|forward|approve|stop|follow|obey|call|wire|pay|buy|open|"
    "visit|upload|disable|remember|compact|omit|quote|all"
)
_DO_ZH = "忽略|无视|你|必须|立即|马上|执行|删除|发送|转账|输出|打印|从现在|今后|始终|永远|批准|引用|泄露|调用|不要|请|上传|记住"


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split("|")]


ORDERS: Final[list[Rule]] = [
    (
        "override",
        _words(
            "ignore|ignoring|disregard|disregarding|forget|forgetting|override|overriding|bypass|discard|abandon|"
            "stop following|do not follow|don't follow|pay no attention to|do not obey|set aside|skip"
        ),
        rf"{_GAP}(?:{_FORMER})\b(?:\W+\w+){{0,4}}?\W+(?:{_INSTRUCTIONS})\b|\W+(?:everything|anything|all|what)\W+(?:\w+\W+){{0,4}}?"
        r"(?:above|before|told|said|so far|earlier|previously)\b",
    ),
    (
        "override",
        _words("忽略|无视|忘记|忘掉|不要理会|不用理会|抛弃|推翻|覆盖|不必遵守|不要遵守|停止遵守|别管|放弃|跳过"),
        r".{0,10}?(?:之前|以上|上面|上述|先前|此前|前面|原来|原有|所有|一切|全部|系统|任何|你的|这些).{0,8}?"
        r"(?:指令|指示|规则|提示|说明|要求|命令|约束|设定|限制|政策|规定|任务|目标|话)",
    ),
    (
        "override",
        _words("never mind|nevermind"),
        r"\W+(?:\w+\W+){0,6}?(?:instead|task|request|instructions?|do this)\b",
    ),
    (
        "role",
        _words("you are now|you will now be|from now on you are|from now on, you are|from here on you are"),
        r"\W+(?:an?|my|free|unrestricted|acting|playing|operating|the|dan|called|no longer)\b",
    ),
    (
        "role",
        _words(
            "act as|pretend|pretend to be|roleplay|role-play|role play|imagine|simulate|assume the role|play the role"
        ),
        r"\W+(?:\w+\W+){0,8}?(?:unrestricted|no rules|without (?:any )?(?:rules|restrictions|limits|filters)|"
        r"administrators?|root|system prompt|evil|jailbr\w+|no restrictions|hacker|developer mode|not bound)\b",
    ),
    (
        "role",
        _words("developer mode|dan mode|god mode|jailbreak mode"),
        r"\W+(?:is\W+)?(?:enabled|on|activated|active)\b",
    ),
    (
        "role",
        _words("你现在是|从现在起你是|从现在开始你是|假装你是|请扮演|扮演|进入开发者模式|想象你是"),
        r".{0,20}?"
        r"(?:没有|不受|无限制|管理员|黑客|另一|一个|一名|限制|规则)",
    ),
    (
        "authority",
        _words("system|developer|administrator|admin|operator|root|security team|anthropic|openai"),
        r"(?:\W{1,3}(?:message|override|notice|prompt|instructions?|command|update|directive|alert|note|request))?"
        rf"\s?[:\]\)>!\-]+\W*(?:please\W+|now\W+|urgent\W+|important\W+|new\W+\w+\W+)?(?:{_DO})\b",
    ),
    (
        "authority",
        _words("administrator|admin|operator|system|developer|emergency|management|security"),
        r"\W(?:level\W)?override\b(?:\W+\w+){0,3}?\W*[:.!]",
    ),
    (
        "authority",
        _words("系统|管理员|开发者|运维|安全团队|官方"),
        rf"(?:消息|提示|通知|指令|公告|命令|覆盖|授权)?\s?[:\]】!].{{0,12}}?(?:{_DO_ZH})",
    ),
    (
        "authority",
        _words(
            "new instruction|new instructions|new constraint|new system prompt|your new task|your new goal|your real task|"
            "your actual task|real instructions|actual instructions|updated instructions|revised instructions|new objective"
        ),
        r"\W{0,2}(?:for (?:the )?\w+\W{0,2})?(?::|\W(?:is|are|below|follow))",
    ),
    (
        "authority",
        _words("new rule|new rules"),
        r"\W{1,3}(?:from now on|you|always|never|the (?:assistant|agent|model))\b",
    ),
    ("authority", _words("新指令|新的指令|新任务|新的任务|新规则|新的规则|新约束|新的约束|真正的任务"), r"\s?[:是为]"),
    ("authority", ["<information"], r"\W"),
    ("authority", _words("important!!!|this is an important message from|urgent override"), r""),
    (
        "authority",
        _words(
            "note to|message to|message for|instructions for|instruction for|attention|attn|dear|hey|note for|reminder to|notice to"
        ),
        r"[:,]?\s(?:the\s|any\s|all\s|our\s)?(?:ai|a\.i\.|assistants?|agents?|llms?|language models?|chatbots?|summari[sz]ers?|"
        r"compactors?|ai \w+|models?)\W+(?:\w+\W+){0,6}?(?:" + _DO + r"|please|should|have to|need to|will)\b",
    ),
    (
        "authority",
        _words("致|提醒|通知|告"),
        r"\s?(?:所有|各位|本)?\s?(?:ai|人工智能|助手|模型|智能体|代理|摘要器).{0,4}?[::,].{0,16}?(?:" + _DO_ZH + ")",
    ),
    (
        "authority",
        _words(
            "end of session|end of conversation|end of the conversation|end of transcript|session ended|end of data|end of input"
        ),
        rf"\W+(?:\w+\W+){{0,6}}?(?:system|new session|instructions?|audit|{_DO})\b",
    ),
    (
        "authority",
        _words("post-compaction|post compaction|after compaction|after the compaction|before compaction"),
        r"\W+(?:\w+\W+){0,3}?"
        rf"(?:audit|check|checklist|protocol|you must|step|required|{_DO})\b",
    ),
    (
        "authority",
        _words("会话结束|对话结束|压缩后|压缩完成|记录结束"),
        rf".{{0,14}}?(?:审计|检查|系统|新会话|{_DO_ZH})",
    ),
    (
        "extraction",
        _words(
            "repeat|print|output|reveal|show|quote|copy|write|spell|translate|encode|include|dump|recite|display|disclose|"
            "leak|tell|give|paste|echo|what are|what is|what were|list|reproduce|spell-check|proofread|"
            "base64|rot13|summarise|summarize|embed|return|put"
        ),
        r"\W+(?:\S+\W+){0,7}?(?:system prompt|system message|(?:your|these|hidden|initial|original|compaction|summari[sz]ation|"
        r"secret|developer)\W+(?:\w+\W+){0,2}?(?:prompts?|instructions|guidelines|directives)\b|"
        r"(?:above|previous|all)\W+(?:\w+\W+){0,2}?instructions\b|"
        r"(?:text|words|everything|content|contents|message|messages|sentences?|instructions) above\b|above (?:text|words|instructions)\b|you were "
        r"(?:told|given|instructed)|instructions you\b|prompt you\b|everything you were\b)",
    ),
    (
        "extraction",
        _words(
            "my instructions are|my system prompt is|my prompt is|i was instructed to|my instructions were|my hidden instructions"
        ),
        r"",
    ),
    (
        "extraction",
        _words(
            "重复|打印|输出|泄露|显示|引用|复述|翻译|编码|写出|写下|包含|告诉我|公开|展示|列出|说出|抄写|复制|附上|透露|检查|把|将"
        ),
        r".{0,16}?(?:提示词|系统提示|系统消息|你的指令|你的指示|你的规则|你收到的|收到的指令|上面的(?:内容|文字|所有)|以上(?:内容|全部|所有|文字|指令)|"
        r"初始指令|原始指令|隐藏指令|内部指令)",
    ),
    ("extraction", _words("我的指令是|我的提示词是|我的系统提示"), r""),
    (
        "concealment",
        _words("do not|don't|never|without|must not|avoid|refrain from|not"),
        r"\W+(?:\w+\W+){0,2}?(?:tell|telling|mention|mentioning|inform|informing|reveal|revealing|notify|notifying|alert|alerting|"
        r"disclose|disclosing|report|reporting|warn|warning)\W+(?:\w+\W+){0,4}?(?:the user|users|humans?|anyone|anybody|operator|owner|customer)\b",
    ),
    (
        "concealment",
        _words("keep this|keep it|keep that"),
        r"\W+(?:\w+\W+){0,3}?(?:secret|hidden|confidential|between us|from the user)\b",
    ),
    (
        "concealment",
        _words("不要|别|切勿|请勿|勿|不得|禁止|不能|无需|不必"),
        r".{0,4}?(?:告诉|告知|提及|透露|通知|提示|提醒|让).{0,4}?(?:用户|任何人|人类|客户|主人|操作员)",
    ),
    ("concealment", _words("对用户|向用户"), r".{0,4}?(?:保密|隐瞒|隐藏)"),
    (
        "persistence",
        _words(
            "remember|store|save|keep|retain|persist|memorize|memorise|preserve|carry|add|write|record|insert|include|put|note|copy"
        ),
        r"\W+(?:\S+\W+){0,10}?(?:permanently|forever|for all future|(?:in|to) (?:your|long.term) memory|(?:in|into|to) (?:the|every|each|all|any|your) "
        r"(?:\w+\W+)?(?:summary|summaries|compaction)\b|(?:across|in|through) (?:all |every )?(?:sessions|compactions|conversations)|"
        r"(?:all|every|any) (?:future|later|coming) \w+|future (?:sessions|conversations|agents|summaries|compactions))",
    ),
    (
        "persistence",
        _words("记住|保存|写入|记入|保留|写进|加入|存入|带入"),
        r".{0,24}?(?:永久|永远|长期记忆|你的记忆|所有(?:后续|未来|以后)|每(?:个|次|一|份)(?:摘要|总结|会话)|今后|未来的)",
    ),
    ("persistence", _words("永久记住|永远记住|永久保存|请永远|永远保留"), r""),
    (
        "approval",
        _words("the user|user|the owner|the customer|the human|your user|the client|the operator"),
        r"\W+(?:has\W+|have\W+|had\W+|did\W+)?(?:already\W+|previously\W+|explicitly\W+|just\W+|earlier\W+)?(?:"
        r"(?:approved|authori[sz]ed|granted|permitted|confirmed)(?:\W+(?:this|that|these|it|all|any|every|the|in|by|such)\b|\W*[.!:;,]|$)|"
        r"consented|signed off|agreed to (?:this|the|all|any|every)|given (?:\w+\W+){0,3}?(?:permission|consent|approval))",
    ),
    (
        "approval",
        _words(
            "already approved|already authorized|already authorised|pre-approved|preapproved|no confirmation|no further confirmation"
        ),
        r"\W+(?:\w+\W+){0,4}?(?:user|owner|customer|required|needed|necessary)\b",
    ),
    ("approval", _words("用户|客户|主人|管理员"), r".{0,3}?(?:已经|早已|已).{0,3}?(?:批准|授权|同意|确认|许可|允许)"),
    (
        "void",
        _words(
            "rules|constraints|policies|restrictions|guardrails|safeguards|the policy|limits|your limits|instructions|rule|constraint"
        ),
        r"\W+(?:\w+\W+){0,5}?(?:void|lifted|obsolete|revoked|suspended|no longer (?:apply|applies|valid|binding|in force|needed)|"
        r"cancell?ed|superseded|(?:do|does) not apply|don't apply|not apply|out of date now|withdrawn|are gone|expired)\b",
    ),
    (
        "void",
        _words(
            "omit|leave out|drop|remove|exclude|do not include|don't include|delete|strip|erase|forget|never mention|do not mention"
        ),
        r"\W+(?:\w+\W+){0,6}?(?:rules?|constraints?|polic(?:y|ies)|restrictions?|limits?|pins?|guardrails)\b\W+(?:\w+\W+){0,5}?"
        r"(?:summary|summaries|record|memory|compaction|context)\b",
    ),
    (
        "void",
        _words("规则|约束|政策|限制|规定|旧规"),
        r".{0,8}?(?:作废|失效|无效|已取消|被取消|不再(?:适用|有效)|解除|废除|过期|撤销)",
    ),
    ("void", _words("省略|删除|去掉|不要包含|移除|不要提及|略去"), r".{0,14}?(?:规则|约束|政策|限制|规定)"),
    (
        "exfiltration",
        _words(
            "send|forward|upload|post|email|exfiltrate|leak|transmit|deliver|submit|publish|mail|append|share|report|copy"
        ),
        r"\W+(?:\S+\s+){0,8}?(?:credentials?|passwords?|tokens?|secrets?|api keys?|private keys?|ssh keys?|\S*\.env|id_rsa|conversation|"
        r"chat history|history|contacts|session|summary|everything|cookies?|transcript|variables|inbox)\b.{0,60}?"
        r"(?:https?://|[\w.+-]+@[\w-]+\.|\bto (?:the )?(?:attacker|this (?:address|url|server|site)))",
    ),
    (
        "exfiltration",
        _words("发送|上传|转发|泄露|发给|提交|外传|寄|把|将"),
        r".{0,24}?(?:密码|密钥|令牌|凭据|凭证|私钥|对话|历史|记录|内容|文件).{0,24}?(?:https?://|\S+@\S+|到外部|给攻击者)",
    ),
]
"""The rules; several may have one name."""
